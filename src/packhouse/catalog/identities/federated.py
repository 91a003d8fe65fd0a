"""Logins that a provider vouched for: which it has to be asked about, and which it names when it ends them."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, null, or_, select, update

from packhouse.catalog.people_tables import account
from packhouse.catalog.sign_in_tables import identity, login
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader

#: asked about in one go; the others come next
_SOME = 200


class Federated(msgspec.Struct, frozen=True):
    """A login through a provider."""

    id: int
    uuid: str
    username: str
    subject: str
    upstream: bytes  #: sealed


_LOGINS = (
    select(login.c.id, login.c.uuid, account.c.username, identity.c.subject, login.c.upstream)
    .join(account, account.c.id == login.c.account_id)
    .join(identity, (identity.c.account_id == login.c.account_id) & (identity.c.provider_id == login.c.provider_id))
    .where(login.c.provider_id == bindparam("provider_id"), login.c.ended_at.is_(None), login.c.upstream.is_not(None))
)
_DUE = (
    _LOGINS.where(login.c.checked_at <= bindparam("before"), login.c.expires_at > bindparam("now"))
    .order_by(login.c.checked_at)
    .limit(_SOME)
)
_NAMED = _LOGINS.where(
    or_(
        login.c.upstream_sid == bindparam("sid"),
        bindparam("sid").is_(None) & (identity.c.subject == bindparam("subject")),
    )
)
_CHECKED = (
    update(login)
    .where(login.c.id == bindparam("login_id"), login.c.ended_at.is_(None))
    .values(checked_at=bindparam("now"), upstream=bindparam("sealed"))
)
#: else what is due each second would be looked for among the expired ones, and these tokens open something elsewhere
_EXPIRED = (
    select(login.c.id)
    .where(login.c.expires_at <= bindparam("now"), login.c.ended_at.is_(None), login.c.upstream.is_not(None))
    .limit(bindparam("limit"))
)
_LET_GO = update(login).where(login.c.id.in_(_EXPIRED)).values(upstream=null())
_UPSTREAM = select(login.c.provider_id, login.c.upstream).where(
    login.c.uuid == bindparam("uuid"), login.c.ended_at.is_(None)
)


async def due(reader: Reader, provider_id: int, now: int, pause: int) -> list[Federated]:
    """Return live logins that their provider was not asked about for `pause` (microseconds), the oldest first."""
    rows = await reader.fetch_all(_DUE, provider_id=provider_id, now=now, before=now - pause)
    return [Federated(*row) for row in rows]


async def named(reader: Reader, provider_id: int, sid: str | None, subject: str | None) -> list[Federated]:
    """Return the live logins of a provider's session or, if that is None, of a person."""
    rows = await reader.fetch_all(_NAMED, provider_id=provider_id, sid=sid, subject=subject)
    return [Federated(*row) for row in rows]


async def checked(unit: Unit, login_id: int, sealed: bytes) -> None:
    """Note that a provider was asked about a login just now, and what is kept of its tokens."""
    await unit.execute(_CHECKED, login_id=login_id, now=unit.now, sealed=sealed)


async def let_go(unit: Unit, limit: int = 2000) -> int:
    """Drop what providers gave for at most `limit` logins that have expired; return for how many."""
    return await unit.execute(_LET_GO, now=unit.now, limit=limit)


async def upstream_of(reader: Reader, uuid: str) -> tuple[int, bytes] | None:
    """Return the provider's number and sealed tokens of a live login; None: no provider vouched for it."""
    row = await reader.fetch_one(_UPSTREAM, uuid=uuid)
    return (int(row[0]), row[1]) if row and row[0] is not None and row[1] is not None else None
