"""Queries of the throttle: what was spent of each bucket, and where each account has logged in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, tuple_

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.people_tables import account
from packhouse.catalog.sign_in_tables import bucket, known_place
from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader


class Rate(NamedTuple):
    """A bucket: `burst` checks at once, then one every `seconds`."""

    burst: int
    seconds: float


#: how often the same is told while the guesses go on
TOLD = Rate(1, 3600)
_LEVEL = select(bucket.c.spent, bucket.c.at).where(bucket.c.key_hash == bindparam("key"))
# Checks that were spent before are forgiven one by one as time passes.
_CHARGE = """INSERT INTO bucket (key_hash, spent, at) VALUES (:key, 1, :now)
 ON CONFLICT (key_hash) DO UPDATE SET at = :now, spent = 1 + CASE WHEN bucket.spent > (:now - bucket.at) / :pause
  THEN bucket.spent - (:now - bucket.at) / :pause ELSE 0 END
 RETURNING spent"""
_GIVE_BACK = "UPDATE bucket SET spent = CASE WHEN spent > 1 THEN spent - 1 ELSE 0 END WHERE key_hash = :key"
_AT_PLACE = (known_place.c.account_id == account.c.id) & (known_place.c.place_hash == bindparam("place"))
_GUESSED = (
    select(account.c.id, account.c.sessions, known_place.c.account_id)
    .select_from(account.outerjoin(known_place, _AT_PLACE))
    .where(account.c.username == bindparam("username"))
)
_KNOW = """INSERT INTO known_place (account_id, place_hash, seen_at)
 SELECT id, :place, :now FROM account WHERE id = :account_id
 ON CONFLICT (account_id, place_hash) DO UPDATE SET seen_at = :now"""
_OLD = select(bucket.c.key_hash).where(bucket.c.at < bindparam("before")).limit(bindparam("limit"))
_FORGET = delete(bucket).where(bucket.c.key_hash.in_(_OLD))
_PLACE = (known_place.c.account_id, known_place.c.place_hash)
_LEFT = select(*_PLACE).where(known_place.c.seen_at < bindparam("before")).limit(bindparam("limit"))
_FORGET_PLACES = delete(known_place).where(tuple_(*_PLACE).in_(_LEFT))


class _Empty(Exception):
    """Some bucket has to be waited for; the unit ends without a change."""


class Guessed(NamedTuple):
    """What counts of an account when somebody shows a password for it."""

    exists: bool
    password: int  #: which of its passwords it has, as a number
    at_home: bool  #: whether it has logged in at the place it was asked for


async def guessed(reader: Reader, username: str, place: bytes) -> Guessed:
    """Return what counts of an account at a place, also of one that there is not."""
    row = await reader.fetch_one(_GUESSED, username=username, place=place)
    return Guessed(False, 0, False) if row is None else Guessed(True, row[1], row[2] is not None)


async def waits(reader: Reader, buckets: Mapping[bytes, Rate], now: int) -> dict[bytes, float]:
    """Return for how many seconds each bucket has no check left; one with some has 0 or less."""
    result = {}
    for key, rate in buckets.items():
        spent, at = await reader.fetch_one(_LEVEL, key=key) or (0.0, now)
        left = max(spent - (now - at) / SECOND / rate.seconds, 0.0)
        result[key] = (left + 1 - rate.burst) * rate.seconds
    return result


async def try_charge(db: Database, buckets: Mapping[bytes, Rate]) -> dict[bytes, float]:
    """Take one check out of every bucket, or none out of any; return the seconds to wait by bucket, as `waits`.

    Two that take the last one at the same time come in turn: what a row held is looked at when it is locked.
    """
    refused: dict[bytes, float] = {}

    async def work(unit: Unit) -> None:
        refused.clear()
        for key in sorted(buckets):  # in one order, so that no two wait in a circle
            rate = buckets[key]
            spent = await unit.fetch_value(_CHARGE, key=key, now=unit.now, pause=rate.seconds * SECOND)
            if spent > rate.burst:
                refused[key] = (spent - rate.burst) * rate.seconds
        if refused:
            raise _Empty

    try:
        await db.write(work)
    except _Empty:
        return dict(refused)
    return {}


async def tell(db: Database, key: bytes, object: str, data: Mapping[str, str]) -> None:
    """Write the event that guesses are throttled, unless a bucket of its own says that it was told lately."""
    rates = {key: TOLD}
    if (await waits(db, rates, await db.now()))[key] > 0:
        return

    async def work(unit: Unit) -> None:
        spent = await unit.fetch_value(_CHARGE, key=key, now=unit.now, pause=TOLD.seconds * SECOND)
        if spent > TOLD.burst:  # another process was before us
            raise _Empty
        await record_event(unit, type="sign_in_throttled", actor="system", object=object, data=dict(data))

    with suppress(_Empty):
        await db.write(work)


async def give_back(unit: Unit, keys: Sequence[bytes], account_id: int, place: bytes | None) -> None:
    """Put one check back into each bucket, and remember where the account has logged in, if it has."""
    for key in sorted(keys):
        await unit.execute(_GIVE_BACK, key=key)
    if place is not None:
        await unit.execute(_KNOW, account_id=account_id, place=place, now=unit.now)


async def forget_full(unit: Unit, before: int, limit: int = 2000) -> int:
    """Drop at most `limit` buckets that nobody touched since `before` (all of them are full); return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


async def forget_places(unit: Unit, before: int, limit: int = 2000) -> int:
    """Drop at most `limit` places where an account was last at home before `before`; return how many."""
    return await unit.execute(_FORGET_PLACES, before=before, limit=limit)
