"""What people see of their logins: those that still work, the last used first."""

from __future__ import annotations

import json

import msgspec
from sqlalchemy import bindparam, func, or_, select

from packhouse.catalog.logins.cookies import IDLE
from packhouse.catalog.logins.logins import Kind
from packhouse.catalog.sign_in_tables import login
from packhouse.core.db.base import Reader

_ALIVE = (
    login.c.account_id == bindparam("account_id"),
    login.c.ended_at.is_(None),
    login.c.expires_at > bindparam("now"),
    or_(login.c.kind != "browser", login.c.seen_at > bindparam("idle")),
)
_PAGE = (
    select(login.c.uuid, login.c.kind, login.c.client, login.c.amr, login.c.created_at, login.c.seen_at,
           login.c.expires_at)
    .where(*_ALIVE)
    .order_by(login.c.seen_at.desc(), login.c.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)  # fmt: skip
_COUNT = select(func.count()).select_from(login).where(*_ALIVE)


class ShownLogin(msgspec.Struct, frozen=True):
    """A login as its owner sees it; times in microseconds since the epoch."""

    uuid: str
    kind: Kind
    client: str
    how: list[str]  #: by which factors (RFC 8176)
    created_at: int
    seen_at: int
    expires_at: int


async def live_logins(
    reader: Reader, account_id: int, now: int, limit: int, offset: int
) -> tuple[list[ShownLogin], int]:
    """Return a page of the logins of an account that work `now`, and how many there are."""
    whose = {"account_id": account_id, "now": now, "idle": now - IDLE}
    rows = await reader.fetch_all(_PAGE, **whose, limit=limit, offset=offset)
    shown = [
        ShownLogin(uuid, kind, client, json.loads(amr), created_at, seen_at, expires_at)
        for uuid, kind, client, amr, created_at, seen_at, expires_at in rows
    ]
    return shown, int(await reader.fetch_value(_COUNT, **whose))
