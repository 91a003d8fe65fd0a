"""`/api/users`: the accounts, for administrators and whoever looks after accounts."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, Filter, House, Limit, Login, Offset, Page, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.accounts import UserShape, user_shape
from packhouse.workflows.signin import administering
from packhouse.workflows.signin.administering import NewPerson, PersonEdit

_NO_NUL = r"^[^\x00]*$"
Part = Annotated[
    str | None,
    QueryParameter(pattern=_NO_NUL, max_length=512, description="A part of a user name, a name or a mail address."),
]
RoleName = Annotated[
    str | None, QueryParameter(pattern=_NO_NUL, max_length=512, description="Those with this role of their own.")
]
Provider = Annotated[
    str | None,
    QueryParameter(pattern=_NO_NUL, max_length=512, description="Who vouches for them; empty: this installation."),
]


class UserRequest(Body):
    """An account to be made; without a password nobody can log in to it yet."""

    username: Word
    password: Word | None = None
    role: Word = "author"  #: its only role, unless `roles` says otherwise
    roles: list[Word] | None = None
    email: Word = ""
    email_verified: bool = False  #: whether a provider's login with this address may become this account
    first_name: Word = ""
    last_name: Word = ""


class UserEdit(Body):
    """What shall be otherwise with an account; unsent members stay as they are."""

    password: Word | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    heir: Word | UnsetType = UNSET  #: with `disabled`: who gets their channels; only administrators name one
    roles: list[Word] | UnsetType = UNSET  #: all that people gave it; those of a provider stay
    email: Word | UnsetType = UNSET
    email_verified: bool | UnsetType = UNSET
    first_name: Word | UnsetType = UNSET
    last_name: Word | UnsetType = UNSET


@get("/api/users", tags=["users"], responses=refused())
async def list_users(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Part = None,
    disabled: FromQuery[bool | None] = None,
    role: RoleName = None,
    provider: Provider = None,
) -> Page[UserShape]:
    """List the people by name; without the role admin those whose roles give no more than the caller's."""
    asked = {"part": q, "disabled": disabled, "role": role, "provider": provider}
    given = {name: value for name, value in asked.items() if value is not None}
    people, total = await administering.list_people(services.db, caller, given, page_size(limit), offset)
    return Page([user_shape(caller, person) for person in people], total)


@post("/api/users", tags=["users"], responses=refused("conflict"))
async def create_user(data: JSONBody[UserRequest], caller: Caller, services: House) -> UserShape:
    """Make an account with roles that the caller could hold."""
    new = NewPerson(
        username=data.username,
        password=data.password,
        roles=[data.role] if data.roles is None else data.roles,
        email=data.email,
        email_verified=data.email_verified,
        first_name=data.first_name,
        last_name=data.last_name,
    )
    return user_shape(caller, await administering.create_person(services.db, caller, new))


@get("/api/users/{username:str}", tags=["users"], responses=refused())
async def show_user(username: FromPath[str], caller: Caller, services: House) -> UserShape:
    """Show an account."""
    return user_shape(caller, await administering.show_person(services.db, caller, username))


@put("/api/users/{username:str}", tags=["users"], responses=refused("conflict"))
async def edit_user(
    username: FromPath[str], data: JSONBody[UserEdit], caller: Caller, services: House, authenticator: Login
) -> UserShape:
    """Change an account: password, roles, profile; disable or enable it. All of it is done, or nothing.

    Without the role admin, what decides how somebody logs in is changed only of whom reaches no channel that the caller
    does not reach.
    """
    edit = PersonEdit(**{name: getattr(data, name) for name in data.__struct_fields__})
    person = await administering.edit_person(services.db, caller, username, edit)
    authenticator.forget("account", username)  # other processes hear of it by the list of changes
    if data.roles is not UNSET:
        authenticator.forget("people", "")
    return user_shape(caller, person)


@delete("/api/users/{username:str}", tags=["users"], responses=refused("conflict"))
async def delete_user(
    username: FromPath[str], caller: Caller, services: House, authenticator: Login, heir: Filter = None
) -> None:
    """Delete an account with its tokens; its channels go to `heir`, else to a co-owner or administrator."""
    await administering.delete_person(services.db, caller, username, heir)
    authenticator.forget("account", username)


HANDLERS = [list_users, create_user, show_user, edit_user, delete_user]
