"""`/api/account/logins`: where the caller is logged in, and ending that."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import delete, get
from litestar.params import FromPath

from packhouse.catalog.logins.listing import live_logins
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import to_iso
from packhouse.core.db import Database
from packhouse.doors.api.parameters import Caller, House, Limit, Login, Offset, Page, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.words import LoginKind
from packhouse.workflows.signin import administering, browsing


class LoginShape(msgspec.Struct, kw_only=True):
    """A login that still works."""

    id: str
    kind: LoginKind
    client: str  #: what the browser or command said it is
    how: list[str]  #: by which factors (RFC 8176): `pwd`, `otp`, `fed`
    current: bool  #: whether this request shows it
    created_at: str  #: RFC 3339
    last_used_at: str  #: RFC 3339, of browsers to some minutes; of others as `created_at`
    expires_at: str  #: RFC 3339


@get("/api/account/logins", tags=["account"], responses=refused())
async def list_logins(caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0) -> Page[LoginShape]:
    """List the caller's logins, the last used first: browsers, API keys and sessions."""
    return await _page(services.db, caller.account_id or 0, caller, limit, offset)


async def _page(db: Database, account_id: int, caller: Principal, limit: int, offset: int) -> Page[LoginShape]:
    found, total = await live_logins(db, account_id, await db.now(), page_size(limit), offset)
    shown = [
        LoginShape(
            id=one.uuid,
            kind=one.kind,
            client=one.client,
            how=one.how,
            current=one.uuid == caller.login_id,
            created_at=to_iso(one.created_at) or "",
            last_used_at=to_iso(one.seen_at) or "",
            expires_at=to_iso(one.expires_at) or "",
        )
        for one in found
    ]
    return Page(shown, total)


@delete("/api/account/logins", tags=["account"], responses=refused())
async def end_logins(caller: Caller, services: House, authenticator: Login) -> None:
    """End all of the caller's logins but the one that is shown; tokens go on working."""
    await browsing.end_mine(services.db, caller)
    authenticator.forget("account", caller.username)  # other processes hear of it by the list of changes


@delete("/api/account/logins/{login_id:str}", tags=["account"], responses=refused())
async def end_login(login_id: FromPath[str], caller: Caller, services: House, authenticator: Login) -> None:
    """End one of the caller's logins."""
    await browsing.end_one(services.db, caller, login_id)
    authenticator.forget("login", login_id)


@get("/api/users/{username:str}/logins", tags=["users"], responses=refused())
async def list_logins_of(
    username: FromPath[str], caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0
) -> Page[LoginShape]:
    """List where somebody is logged in, with their API keys, which are no tokens."""
    person = await administering.show_person(services.db, caller, username)
    return await _page(services.db, person.account.id, caller, limit, offset)


@delete("/api/users/{username:str}/logins", tags=["users"], responses=refused())
async def end_logins_of(username: FromPath[str], caller: Caller, services: House, authenticator: Login) -> None:
    """End all logins of somebody; their tokens go on working."""
    await administering.end_logins(services.db, caller, username)
    authenticator.forget("account", username)


HANDLERS: list[Any] = [list_logins, end_logins, end_login, list_logins_of, end_logins_of]
