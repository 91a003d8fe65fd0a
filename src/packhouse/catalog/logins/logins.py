"""Logins as rows: a browser's cookie or a signed key is one of them, so that a single one can be looked at and ended.

A cookie's value is kept as a keyed hash only. A signed key needs no value here: it names its login by uuid.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, insert, null, select, union_all, update

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.people_tables import account
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.sign_in_tables import auth_code, device_grant, login, provider
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.randomness import new_uuid, random_hex

Kind = Literal["browser", "key", "api"]
#: how somebody signed in
Way = Literal["page", "api", "command_line"]
#: the most live logins of a kind that an account has: one unit ends all of the three kinds
MOST = 600


class Login(msgspec.Struct, frozen=True):
    """One login of an account; times in microseconds since the epoch."""

    id: int
    uuid: str  #: what others name it by
    account_id: int
    kind: Kind
    provider_id: int | None  #: who vouched; None: a password of ours
    client: str  #: which browser or command, as the person is shown
    created_at: int
    seen_at: int
    expires_at: int
    ended_at: int | None


class Voucher(NamedTuple):
    """By whose word a login began."""

    provider_id: int
    subject: str  #: of whom the provider speaks
    sid: str | None  #: what it calls its own session, if it says
    upstream: bytes  #: its tokens, sealed


_LOGIN = tuple(login.c[name] for name in Login.__struct_fields__)
_INSERT = (
    insert(login)
    .values(
        {
            name: bindparam(name)
            for name in (
                "uuid", "secret_hash", "account_id", "kind", "provider_id", "subject", "upstream_sid", "upstream",
                "client", "amr", "created_at", "seen_at", "checked_at", "expires_at",
            )
        }
    )
    .returning(login.c.id)
)  # fmt: skip
_LIVE = login.c.ended_at.is_(None)
_BY_SECRET = select(*_LOGIN).where(login.c.secret_hash == bindparam("hash"), _LIVE)
_BY_UUID = select(*_LOGIN).where(login.c.uuid == bindparam("uuid"), _LIVE)
#: what its provider gave goes with it
_ENDED = {"ended_at": bindparam("now"), "upstream": null()}
_END = update(login).where(login.c.id == bindparam("login_id"), _LIVE).values(_ENDED).returning(login.c.uuid)
_USE = update(login).where(login.c.id == bindparam("login_id"), _LIVE).values(seen_at=bindparam("now"))
_END_ALL = (
    update(login)
    .where(login.c.account_id == bindparam("of_account"), login.c.id != bindparam("but"), _LIVE)
    .values(_ENDED)
)
_TOO_MANY = (
    select(login.c.id, login.c.uuid, account.c.username)
    .join(account, account.c.id == login.c.account_id)
    .where(login.c.account_id == bindparam("of_account"), login.c.kind == bindparam("of_kind"), _LIVE)
    .order_by(login.c.id.desc())
    .limit(2)  # two that begin at once can leave one too many
    .offset(MOST)
)
_SIGNED = (
    select(login.c.id)
    .where(login.c.kind != "browser", login.c.created_at <= bindparam("until"), _LIVE)
    .limit(bindparam("limit"))
)
_END_SIGNED = update(login).where(login.c.id.in_(_SIGNED)).values(_ENDED)
#: what was approved by a login goes before it
_OLD = (
    select(login.c.id)
    .where(
        # two look-ups, since one with OR would read every login
        login.c.id.in_(
            union_all(
                *(select(login.c.id).where(at < bindparam("before")) for at in (login.c.ended_at, login.c.expires_at))
            )
        ),
        login.c.id.not_in(select(device_grant.c.login_id).where(device_grant.c.login_id.is_not(None))),
        login.c.id.not_in(select(auth_code.c.login_id)),
    )
    .limit(bindparam("limit"))
)
_FORGET = delete(login).where(login.c.id.in_(_OLD))
_PROVIDER = select(provider.c.name).where(provider.c.id == bindparam("provider_id"))


async def begin(
    unit: Unit,
    keys: Keys,
    account_id: int,
    kind: Kind,
    *,
    client: str,
    lifetime: int,
    voucher: Voucher | None = None,
    amr: Sequence[str] = (),
) -> tuple[Login, str]:
    """Return a new login and its value, which is shown this once; only a browser's has one, others get "".

    Of more than `MOST` of its kind the oldest ends, which is an event. `lifetime` is in microseconds, `voucher` is None
    for a password of ours, `amr` says how the person showed who they are (RFC 8176).
    """
    value = random_hex(32) if kind == "browser" else ""
    uuid, now = new_uuid(), unit.now
    provider_id, subject, sid, upstream = voucher or (None, None, None, None)
    row = await unit.fetch_value(
        _INSERT,
        uuid=uuid,
        secret_hash=_hash(keys, value) if value else None,
        account_id=account_id,
        kind=kind,
        provider_id=provider_id,
        subject=subject,
        upstream_sid=sid,
        upstream=upstream,
        client=client,
        amr=json.dumps(list(amr)),
        created_at=now,
        seen_at=now,
        checked_at=now,
        expires_at=now + lifetime,
    )
    for oldest, its_uuid, name in await unit.fetch_all(_TOO_MANY, of_account=account_id, of_kind=kind):
        await end(unit, oldest)
        about = {"login": its_uuid, "why": f"more than {MOST} at once"}
        await record_event(unit, type="user_signed_out", actor="system", object=f"user {name}", data=about)
    return Login(int(row), uuid, account_id, kind, provider_id, client, now, now, now + lifetime, None), value


async def tell_of(unit: Unit, account: Account, made: Login, by: Way, amr: Sequence[str] = ()) -> None:
    """Write the event of somebody signing in, with who vouched for them if that was not this installation."""
    data: dict[str, Any] = {"login": made.uuid, "by": by, "how": list(amr)}
    vouched = made.provider_id or account.provider_id
    if vouched is not None:
        data["provider"] = await unit.fetch_value(_PROVIDER, provider_id=vouched)
    name = account.username
    await record_event(unit, type="user_signed_in", actor=name, object=f"user {name}", data=data)


async def by_secret(reader: Reader, keys: Keys, value: str) -> Login | None:
    """Return the login with that value unless it was ended; the caller looks at `expires_at` and at the account."""
    row = await reader.fetch_one(_BY_SECRET, hash=_hash(keys, value))
    return Login(*row) if row else None


async def by_uuid(reader: Reader, uuid: str) -> Login | None:
    """Return the login of that uuid unless it was ended; the caller looks at `expires_at` and at the account."""
    row = await reader.fetch_one(_BY_UUID, uuid=uuid)
    return Login(*row) if row else None


async def is_person(reader: Reader, who: Principal) -> bool:
    """Say whether somebody is at hand who has logged in: neither a token nor an API key is shown."""
    if who.token_id is not None or not who.known:
        return False
    shown = await by_uuid(reader, who.login_id) if who.login_id else None
    return who.login_id is None or (shown is not None and shown.kind != "key")


async def use(unit: Unit, login_id: int) -> None:
    """Note that a login was used just now."""
    await unit.execute(_USE, login_id=login_id, now=unit.now)


async def end(unit: Unit, login_id: int) -> bool:
    """End a login in every process; one that has ended stays as it is, and that is said."""
    uuid = await unit.fetch_value(_END, login_id=login_id, now=unit.now)
    if uuid is not None:
        await note(unit, "login", name=uuid)
    return uuid is not None


async def end_all(unit: Unit, account_id: int, but: int | None = None) -> int:
    """End the logins of an account, except the one with the id `but`; return how many.

    The caller tells every process with an `account` change, which stands for all of them.
    """
    return await unit.execute(_END_ALL, of_account=account_id, but=but or 0, now=unit.now)


async def end_signed(unit: Unit, until: int, limit: int = 2000) -> int:
    """End at most `limit` logins that signed keys begun by a time name; return how many.

    No process is told: what they signed counts no more anyhow, see `signing_keys.retire_all`.
    """
    return await unit.execute(_END_SIGNED, until=until, limit=limit, now=unit.now)


async def forget_old(unit: Unit, before: int, limit: int = 2000) -> int:
    """Drop at most `limit` logins that expired or ended before a time; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


def _hash(keys: Keys, value: str) -> bytes:
    return keys.hash_of("login", value)
