"""`/api/users`: the accounts, for administrators."""

from __future__ import annotations

from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.accounts import accounts, store
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Limit, Login, Offset, Page, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.accounts import UserShape, user_shape
from packhouse.doors.api.words import Role


class UserRequest(Body):
    """An account to be made; without a password nobody can log in to it yet."""

    username: Word
    password: Word | None = None
    role: Role = "author"


class UserEdit(Body):
    """What shall be otherwise with an account; unsent members stay as they are."""

    password: Word | None = None
    disabled: bool | None = None


@get("/api/users", tags=["users"], responses=refused())
async def list_users(services: House, limit: Limit = 100, offset: Offset = 0) -> Page[UserShape]:
    """List the accounts by name."""
    rows, total = await store.page(services.db, page_size(limit), offset)
    return Page([user_shape(row) for row in rows], total)


@post("/api/users", tags=["users"], responses=refused("conflict"))
async def create_user(data: JSONBody[UserRequest], caller: Caller, services: House) -> UserShape:
    """Make an account."""
    return user_shape(await accounts.create_user(services.db, data.username, data.password, data.role, caller.username))


@put("/api/users/{username:str}", tags=["users"], responses=refused("conflict"))
async def edit_user(
    username: FromPath[str], data: JSONBody[UserEdit], caller: Caller, services: House, authenticator: Login
) -> UserShape:
    """Set a password, or disable or enable an account."""
    if data.password is not None:
        await accounts.set_password(services.db, username, data.password, caller.username)
    if data.disabled is not None:
        await accounts.set_disabled(services.db, username, data.disabled, caller.username)
    authenticator.forget("account", username)  # other processes hear of it by the list of changes
    found = await store.by_name(services.db, username)
    if found is None:
        raise PackhouseError("not_found", "There is no such user.", "List the users to find the name.")
    return user_shape(found)


@delete("/api/users/{username:str}", tags=["users"], responses=refused("conflict"))
async def delete_user(username: FromPath[str], caller: Caller, services: House, authenticator: Login) -> None:
    """Delete an account with its tokens and grants."""
    await accounts.delete_user(services.db, username, caller.username)
    authenticator.forget("account", username)


HANDLERS = [list_users, create_user, edit_user, delete_user]
