"""The list of changes every process follows, so that what it keeps in memory is never older than it knows.

Each unit of work notes what it changed; each process polls the list every 250 ms and drops what a row names.
A process whose last poll is older than 1.5 s must not trust its memory and asks the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select

from packhouse.catalog.schema import change
from packhouse.core.clock import SECOND, monotonic
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger

log = get_logger("packhouse.changes")

POLL_SECONDS = 0.25
#: a memory older than this is not trusted, in seconds
STALE_SECONDS = 1.5
#: a process that was away longer starts afresh, in seconds; rows are kept much longer than that
AWAY_SECONDS = 60.0
KEEP = 3600 * SECOND
#: a unit that is under way when a process begins to follow has one of the last so many numbers
LOOK_BACK = 1000

_NOTE = insert(change).values(
    kind=bindparam("kind"), channel_id=bindparam("channel_id"), name=bindparam("name"), at=bindparam("at")
)
_SINCE = (
    select(change.c.seq, change.c.kind, change.c.channel_id, change.c.name)
    .where(change.c.seq > bindparam("seq"))
    .order_by(change.c.seq)
)
# The sum too: of two units, the later one may be seen first. Old rows go, after which nothing seems to be as it was.
_STAMP = select(func.sum(change.c.seq), func.max(change.c.seq)).where(
    or_(change.c.kind == "judgement", and_(change.c.kind == "entry", change.c.channel_id == bindparam("channel_id")))
)
_OLD = select(change.c.seq).where(change.c.at < bindparam("before")).order_by(change.c.seq).limit(bindparam("limit"))
_FORGET = delete(change).where(change.c.seq.in_(_OLD))
_LAST = select(change.c.seq).order_by(change.c.seq.desc()).limit(LOOK_BACK)


class Change(NamedTuple):
    """One thing that is no longer as it was."""

    seq: int
    #: channel | index | package | entry | judgement | account | token | mirror | notice | setting
    #: | login (one, by uuid) | people (roles, groups, who is in them: one row for all that a unit changed)
    kind: str
    channel_id: int | None
    name: str


async def note(unit: Unit, kind: str, channel_id: int | None = None, name: str = "") -> None:
    """Tell every process, once this unit is committed, that something changed."""
    await unit.execute(_NOTE, kind=kind, channel_id=channel_id, name=name, at=unit.now)


async def stamp(reader: Reader, channel_id: int) -> tuple[int, int]:
    """Return something else whenever what a channel's files are judged by has changed: entries, or what is known."""
    row = await reader.fetch_one(_STAMP, channel_id=channel_id)
    return (int(row[0] or 0), int(row[1] or 0)) if row else (0, 0)


async def last(reader: Reader) -> int:
    """Return the highest number given so far; one of a unit under way may be lower, by less than `LOOK_BACK`."""
    row = await reader.fetch_one(_LAST)
    return int(row[0]) if row else 0


async def forget_old(unit: Unit, limit: int = 2000) -> int:
    """Drop at most `limit` rows that every process has read long ago, oldest first; return how many."""
    return await unit.execute(_FORGET, before=unit.now - KEEP, limit=limit)


class ChangeFeed:
    """Follows the list for one process and hands each change to the listeners."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seq: int | None = None
        self._gaps: dict[int, float] = {}
        self._polled_at = float("-inf")
        #: grows whenever anything that this process remembers may have become wrong
        self.epoch = 0
        self._listeners: list[Callable[[Change], None]] = []
        self._resets: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[Change], None], reset: Callable[[], None]) -> None:
        """Call `listener` for each change, and `reset` when some may have been missed."""
        self._listeners.append(listener)
        self._resets.append(reset)

    @property
    def fresh(self) -> bool:
        """Whether what this process remembers may be trusted now."""
        return monotonic() < self.trusted_until

    @property
    def trusted_until(self) -> float:
        """Until when (monotonic) what this process remembers may be trusted, if no poll comes any more."""
        return self._polled_at + STALE_SECONDS

    def doubt(self) -> None:
        """Let go of what depends on something this process just changed itself; the list tells the others."""
        self.epoch += 1

    async def poll(self) -> None:
        """Read what is new. On PostgreSQL numbers can become visible out of order, so gaps are looked at again."""
        started = monotonic()
        if self._seq is None or started - self._polled_at > AWAY_SECONDS:
            numbers = {row[0] for row in await self._db.fetch_all(_LAST)}
            self._seq = max(numbers, default=0)
            under_way = range(max(self._seq - LOOK_BACK, 0) + 1, self._seq)
            self._gaps = {seq: started for seq in under_way if seq not in numbers}
            self.epoch += 1
            for reset in self._resets:
                reset()
        else:
            rows = await self._db.fetch_all(_SINCE, seq=min([self._seq, *(gap - 1 for gap in self._gaps)]))
            self._take([Change(*row) for row in rows], started)
        self._polled_at = started

    def _take(self, rows: list[Change], now: float) -> None:
        known = self._seq or 0
        for row in rows:
            if row.seq > known or row.seq in self._gaps:
                self._gaps.pop(row.seq, None)
                self.epoch += 1
                for listener in self._listeners:
                    listener(row)
        newest = max([known, *(row.seq for row in rows)])
        seen = {row.seq for row in rows}
        self._gaps.update({seq: now for seq in range(known + 1, newest + 1) if seq not in seen})
        # a transaction open for longer than a minute would be a bug; its number was most likely rolled back
        self._gaps = {seq: since for seq, since in self._gaps.items() if now - since < 60}
        self._seq = newest

    async def run(self) -> None:
        """Poll until cancelled; a database that is away only makes this process distrust its memory."""
        while True:
            try:
                await self.poll()
            except PackhouseError:
                await asyncio.sleep(1)
            except Exception:  # a fault of ours: ending here would switch every memory of this process off for good
                log.exception("changes could not be followed")
                await asyncio.sleep(1)
            await asyncio.sleep(POLL_SECONDS)
