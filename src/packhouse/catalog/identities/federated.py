"""Logins that a provider vouched for: which it has to be asked about, which it names when it ends them, and its tokens.

A refresh token may count only once, so that the newest is all there is to ask with: `renew` alone writes them.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, null, or_, select, update

from packhouse.catalog.people_tables import account
from packhouse.catalog.sign_in_tables import login
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.sealing import Sealer

#: asked about in one go; the others come next
_SOME = 200
#: of what is sealed in `login.upstream`
_ABOUT = "upstream"


class Upstream(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept, sealed, of a provider's tokens: to ask again, and to sign out there."""

    id_token: str
    refresh_token: str = ""

    def sealed(self, sealer: Sealer) -> bytes:
        """Return it as it is kept with a login."""
        return sealer.seal(msgspec.json.encode(self), _ABOUT)

    @classmethod
    def opened(cls, sealer: Sealer, sealed: bytes) -> Upstream:
        """Return what `sealed` made."""
        return msgspec.json.decode(sealer.open(sealed, _ABOUT), type=cls)


class Federated(msgspec.Struct, frozen=True):
    """A login through a provider."""

    id: int
    uuid: str
    username: str
    subject: str  #: whom the provider vouched for; another login of the same account may be another's
    upstream: bytes  #: sealed


_LOGINS = (
    select(login.c.id, login.c.uuid, account.c.username, login.c.subject, login.c.upstream)
    .join(account, account.c.id == login.c.account_id)
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
        bindparam("sid").is_(None) & (login.c.subject == bindparam("subject")),
    )
)
_OPEN = update(login).where(login.c.id == bindparam("login_id"), login.c.ended_at.is_(None))
_ASKED = _OPEN.values(checked_at=bindparam("now"))
_RENEW = _OPEN.values(checked_at=bindparam("now"), upstream=bindparam("sealed"))
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


async def asked(unit: Unit, login_id: int) -> None:
    """Note that a provider was asked about a login just now; its tokens stay as they are."""
    await unit.execute(_ASKED, login_id=login_id, now=unit.now)


async def renew(unit: Unit, login_id: int, sealed: bytes) -> None:
    """Keep the tokens that a provider gave for those of a login, about which it was asked by that."""
    await unit.execute(_RENEW, login_id=login_id, now=unit.now, sealed=sealed)


async def let_go(unit: Unit, limit: int = 2000) -> int:
    """Drop what providers gave for at most `limit` logins that have expired; return for how many."""
    return await unit.execute(_LET_GO, now=unit.now, limit=limit)


async def upstream_of(reader: Reader, uuid: str) -> tuple[int, bytes] | None:
    """Return the provider's number and sealed tokens of a live login; None: no provider vouched for it."""
    row = await reader.fetch_one(_UPSTREAM, uuid=uuid)
    return (int(row[0]), row[1]) if row and row[0] is not None and row[1] is not None else None
