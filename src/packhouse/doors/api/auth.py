"""`/api/auth`: a password becomes a session."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post
from litestar.params import JSONBody

from packhouse.catalog.grants.issuing import give_key
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins.sessions import LIFETIME
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import House, Login, Word
from packhouse.doors.api.problems import refused
from packhouse.workflows.signin import second
from packhouse.workflows.signin.arriving import logged_in


class LoginRequest(Body):
    """User name and password, and the code of a second factor where the account asks for one."""

    username: Word
    password: Word
    code: Word | None = None  #: of the second factor, or a recovery code; `second_factor_needed` asks for it


class Session(msgspec.Struct, kw_only=True):
    """A session: a JWT that clients send as `Authorization: Bearer`."""

    token: str
    username: str


@post("/api/auth/login", tags=["auth"], status_code=200, responses=refused("second_factor_needed"))
async def login(
    data: JSONBody[LoginRequest], request: Request[Any, Any, Any], authenticator: Login, services: House
) -> Session:
    """Log in with a password. Whatever is wrong with it is `unauthenticated`, in the same words."""
    address = request.client.host if request.client else ""
    account, amr = await second.log_in(services, authenticator, data.username, data.password, data.code, address)
    keys, client = await load_keys(services.db, services.sealer), request.headers.get("user-agent", "")
    token, _ = await give_key(
        services.db, services.sealer, keys, account, "api", client=client, lifetime=LIFETIME, amr=amr, by="api"
    )
    await logged_in(services, account)
    return Session(token=token, username=account.username)


HANDLERS = [login]
