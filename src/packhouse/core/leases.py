"""Leases: one holder at a time for a named duty, among any number of processes and machines.

A lease ends by itself when its holder dies, so that somebody else can take over. A holder that was only asleep may
wake up after that; whoever writes under a lease therefore calls `renew` in the same unit of work and stops on False.
"""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.db.types import METADATA, Micros

lease = Table(
    "lease",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Micros, nullable=False),
)

_ACQUIRE = """
    INSERT INTO lease (name, holder, until) VALUES (:name, :holder, :until)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE lease.holder = excluded.holder OR lease.until <= :now
"""
_RENEW = "UPDATE lease SET until = :until WHERE name = :name AND holder = :holder"
_RELEASE = "DELETE FROM lease WHERE name = :name AND holder = :holder"
_FORGET = "DELETE FROM lease WHERE until < :before"
_FREE = "SELECT 1 FROM lease WHERE name = :name AND until > :now"


async def acquire(unit: Unit, name: str, holder: str, seconds: float) -> bool:
    """Take the lease if it is free, has run out, or is the holder's already; say whether it is the holder's now.

    `holder` names one taker, not one machine: two tasks that must exclude each other use two names.
    """
    until = unit.now + int(seconds * SECOND)
    return await unit.execute(_ACQUIRE, name=name, holder=holder, until=until, now=unit.now) == 1


async def renew(unit: Unit, name: str, holder: str, seconds: float) -> bool:
    """Hold the lease for `seconds` from now, if nobody else has taken it; False: it is lost.

    Inside a unit this is also the fence: nobody can take the lease over before that unit has ended.
    """
    return await unit.execute(_RENEW, name=name, holder=holder, until=unit.now + int(seconds * SECOND)) == 1


async def release(unit: Unit, name: str, holder: str) -> None:
    """Give the lease up at once; nothing happens when it belongs to somebody else."""
    await unit.execute(_RELEASE, name=name, holder=holder)


async def forget_ended(unit: Unit, before: int) -> None:
    """Drop leases that ran out before a time (microseconds): their holders died, and nobody wanted them since."""
    await unit.execute(_FORGET, before=before)


async def is_free(reader: Reader, name: str, now: int) -> bool:
    """Say whether nobody holds the lease at `now` (microseconds): a cheap look before `acquire`."""
    return await reader.fetch_value(_FREE, name=name, now=now) is None
