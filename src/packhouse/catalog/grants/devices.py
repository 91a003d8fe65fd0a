"""Device grants (RFC 8628): a command line asks, a person approves in a browser, the command line is given a key once.

Both codes are kept as keyed hashes. All that changes a grant is one conditional update, so that of two who come at the
same time one has it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update

from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.sign_in_tables import device_grant, login
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.randomness import random_bytes, random_hex

LIFETIME = 600  #: of a grant, in seconds
WAIT, LONGEST_WAIT = 5, 30  #: seconds between two questions of a command line
#: no vowels, so that no words come out, and none that look like another (RFC 8628 section 6.1)
LETTERS, LENGTH = "BCDFGHJKLMNPQRSTVWXZ", 8

State = Literal["pending", "approved", "denied", "used"]


class Grant(msgspec.Struct, frozen=True):
    """What a command line asked for; times in microseconds since the epoch."""

    id: int
    client_id: str
    state: State
    account_id: int | None  #: who approved
    address: str  #: who asked
    wait: int  #: seconds
    asked_at: int | None
    created_at: int
    expires_at: int


_GRANT = tuple(device_grant.c[name] for name in Grant.__struct_fields__)
_INSERT = insert(device_grant).values(
    {name: bindparam(name) for name in ("device_hash", "user_hash", "client_id", "state", "address", "wait",
                                        "created_at", "expires_at")}
)  # fmt: skip
_LIVE = device_grant.c.expires_at > bindparam("now")
_WAITING = select(func.count()).where(
    device_grant.c.address == bindparam("address"), device_grant.c.state == "pending", _LIVE
)
_BY_DEVICE = select(*_GRANT).where(
    device_grant.c.device_hash == bindparam("hash"), device_grant.c.client_id == bindparam("client_id")
)
_BY_USER = select(*_GRANT).where(
    device_grant.c.user_hash == bindparam("hash"), device_grant.c.state == "pending", _LIVE
)
_ASKED = (
    update(device_grant)
    .where(device_grant.c.id == bindparam("grant_id"))
    .values(asked_at=bindparam("now"), wait=bindparam("new_wait"))
)
_DECIDE = (
    update(device_grant)
    .where(device_grant.c.id == bindparam("grant_id"), device_grant.c.state == "pending", _LIVE)
    .values(state=bindparam("new_state"), account_id=bindparam("account"), login_id=bindparam("login"))
)
_USE = (
    update(device_grant)
    .where(device_grant.c.id == bindparam("grant_id"), device_grant.c.state == "approved", _LIVE)
    .values(state="used")
)
_STANDS = (
    select(login.c.id)
    .join(device_grant, device_grant.c.login_id == login.c.id)
    .where(device_grant.c.id == bindparam("grant_id"), login.c.ended_at.is_(None))
)
_OLD = select(device_grant.c.id).where(device_grant.c.expires_at < bindparam("before")).limit(bindparam("limit"))
_FORGET = delete(device_grant).where(device_grant.c.id.in_(_OLD))


async def ask(unit: Unit, keys: Keys, client_id: str, address: str) -> tuple[str, str]:
    """Begin a grant; return its device code and user code, as shown (`XXXX-XXXX`)."""
    device_code, number = random_hex(32), int.from_bytes(random_bytes(16))
    letters = "".join(LETTERS[number // len(LETTERS) ** place % len(LETTERS)] for place in range(LENGTH))
    await unit.execute(
        _INSERT,
        device_hash=_device_hash(keys, device_code),
        user_hash=_user_hash(keys, letters),
        client_id=client_id,
        state="pending",
        address=address,
        wait=WAIT,
        created_at=unit.now,
        expires_at=unit.now + LIFETIME * SECOND,
    )
    return device_code, f"{letters[:4]}-{letters[4:]}"


async def count_waiting(unit: Unit, address: str) -> int:
    """Return how many grants that nobody has decided about yet were asked for from an address."""
    return int(await unit.fetch_value(_WAITING, address=address, now=unit.now))


async def by_device_code(reader: Reader, keys: Keys, device_code: str, client_id: str) -> Grant | None:
    """Return the grant that a command line asks about, in whatever state and however old."""
    row = await reader.fetch_one(_BY_DEVICE, hash=_device_hash(keys, device_code), client_id=client_id)
    return Grant(*row) if row else None


async def by_user_code(reader: Reader, keys: Keys, user_code: str, now: int) -> Grant | None:
    """Return the grant that waits for a decision under what a person typed, in any case and with any dashes."""
    letters = "".join(letter for letter in user_code.upper() if letter in LETTERS)
    row = await reader.fetch_one(_BY_USER, hash=_user_hash(keys, letters), now=now)
    return Grant(*row) if row else None


async def asked(unit: Unit, grant: Grant) -> bool:
    """Note that the command line asked; return False when it asked too soon, after which it must wait for longer."""
    too_soon = grant.asked_at is not None and unit.now - grant.asked_at < (grant.wait - 1) * SECOND
    wait = min(grant.wait + WAIT, LONGEST_WAIT) if too_soon else grant.wait
    await unit.execute(_ASKED, grant_id=grant.id, now=unit.now, new_wait=wait)
    return not too_soon


async def decide(unit: Unit, grant_id: int, approved: bool, account_id: int, login_id: int) -> bool:
    """Approve or deny a grant that waits; return False when it no longer does."""
    state = "approved" if approved else "denied"
    return (
        await unit.execute(
            _DECIDE, grant_id=grant_id, new_state=state, account=account_id, login=login_id, now=unit.now
        )
        == 1
    )


async def use(unit: Unit, grant_id: int) -> bool:
    """Take what was approved; return True once only."""
    return await unit.execute(_USE, grant_id=grant_id, now=unit.now) == 1


async def stands(unit: Unit, grant_id: int) -> bool:
    """Say whether the login that approved a grant has not been ended."""
    return await unit.fetch_one(_STANDS, grant_id=grant_id) is not None


async def forget_old(unit: Unit, before: int, limit: int = 2000) -> int:
    """Drop at most `limit` grants that expired before a time; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


def _device_hash(keys: Keys, code: str) -> bytes:
    return keys.hash_of("device code", code)


def _user_hash(keys: Keys, letters: str) -> bytes:
    return keys.hash_of("user code", letters)
