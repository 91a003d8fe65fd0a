"""Duties that recur every few seconds and are done by exactly one process at a time: sealing, sweeping, scheduling."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from packhouse.core import leases
from packhouse.core.clock import monotonic
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs.waiting import pause

_log = logging.getLogger(__name__)

#: how long a silent process keeps its duties, in seconds; it renews three times as often
LEASE_SECONDS = 30.0
#: how often the others look whether a duty has become free, in seconds
LOOK_SECONDS = 5.0
#: how long a duty may go on after the process was told to stop, in seconds
PATIENCE_SECONDS = 10.0


class Turn:
    """The right to do a duty now."""

    def __init__(self, lease: str, holder: str, seconds: float) -> None:
        self.lease = lease
        self._holder = holder
        self._seconds = seconds

    async def acquire(self, unit: Unit) -> bool:
        """Take the duty if it is free."""
        return await leases.acquire(unit, self.lease, self._holder, self._seconds)

    async def renew(self, unit: Unit) -> bool:
        """Keep the duty; False: another process does it."""
        return await leases.renew(unit, self.lease, self._holder, self._seconds)

    async def release(self, unit: Unit) -> None:
        """Leave the duty to others at once."""
        await leases.release(unit, self.lease, self._holder)


@dataclass(frozen=True, slots=True)
class Periodic:
    """Call `function` with `seconds` between the end of one call and the next.

    Whoever takes the duty over calls it at once, so a call with nothing to do must be cheap. A process that fell
    asleep may call it beside the new holder for a moment, so its units of work bear being done twice. What it raises
    is logged, and it is called again in its time.
    """

    name: str
    seconds: float
    function: Callable[[], Awaitable[None]]


class Timetable:
    """Does all duties that no other process does."""

    def __init__(
        self, db: Database, periodics: Iterable[Periodic], name: str, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._db = db
        self._lease = lease_seconds
        holder = f"{name}:{secrets.token_hex(4)}"
        self._duties = [(duty, Turn(f"periodic {duty.name}", holder, lease_seconds)) for duty in periodics]
        #: the turns we hold, and since when (monotonic) we have not asked whether we still do
        self._held: dict[Turn, float] = {}
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> None:
        """Do duties until `stop`. Outlives a database that is away."""
        self._ended.clear()
        keeper = asyncio.create_task(self._keep())
        rounds = [asyncio.create_task(self._rounds(duty, turn), name=duty.name) for duty, turn in self._duties]
        try:
            await self._stopping.wait()
            if rounds:
                await asyncio.wait(rounds, timeout=PATIENCE_SECONDS)
        finally:
            for task in (keeper, *rounds):
                task.cancel()
            await asyncio.gather(keeper, *rounds, return_exceptions=True)
            await self._release()
            self._ended.set()

    async def stop(self) -> None:
        """Finish the calls in progress, leave all duties to others, and return when `run` has."""
        self._stopping.set()
        await self._ended.wait()

    async def _rounds(self, duty: Periodic, turn: Turn) -> None:
        while not self._stopping.is_set():
            mine = False
            try:
                if mine := await self._mine(turn):
                    await duty.function()
            except PackhouseError as error:
                _log.warning("%s: %s", duty.name, error)
            except Exception:  # a duty must be done again, whatever went wrong this time
                _log.exception("%s failed.", duty.name)
            await pause(self._stopping, duty.seconds if mine else min(duty.seconds, LOOK_SECONDS, self._lease))

    async def _mine(self, turn: Turn) -> bool:
        asked = monotonic()
        if turn in self._held and asked - self._held[turn] < self._lease:
            return True
        self._held.pop(turn, None)
        if not await leases.is_free(self._db, turn.lease, await self._db.now()):
            return False
        if not await self._db.write(turn.acquire):
            return False
        self._held[turn] = asked
        return True

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            await asyncio.gather(*(self._renew(turn) for turn in list(self._held)))

    async def _renew(self, turn: Turn) -> None:
        asked = monotonic()
        try:
            if await self._db.write(turn.renew):
                self._held[turn] = asked
            else:
                self._held.pop(turn, None)
        except PackhouseError as error:
            _log.warning("%s could not be renewed: %s", turn.lease, error)
        except Exception:  # the keeper keeps the other duties too
            _log.exception("%s could not be renewed.", turn.lease)

    async def _release(self) -> None:
        for turn in self._held:
            try:
                await self._db.write(turn.release)
            except PackhouseError as error:
                _log.warning("%s is left to its lease: %s", turn.lease, error)
        self._held.clear()
