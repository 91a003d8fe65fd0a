"""A job as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from packhouse.core.clock import monotonic
from packhouse.core.db import Database, Unit
from packhouse.core.jobs import claims
from packhouse.core.jobs.job import LostLease, RunEnded

T = TypeVar("T")


class RunningJob:
    """One run of a job by one worker.

    A handler works in batches. Between two batches it calls `checkpoint`; in the unit of work of each batch it calls
    `fence` first, so that a batch is committed only while the run is still this worker's. A run can end at any
    moment, and another one then begins anew: what is done already must be seen in the catalogue, or in `progress`.
    It must not keep the event loop busy for seconds, or its own lease runs out.
    """

    def __init__(self, db: Database, claim: claims.Claim, lease_seconds: float) -> None:
        self.id = claim.id
        self.kind = claim.kind
        self.subject = claim.subject
        self.payload: dict[str, Any] = claim.payload
        #: 1 for the first run, more after a take-over or a return to the queue
        self.attempt = claim.attempt
        #: what an earlier run reported last, {} at first
        self.progress: dict[str, Any] = claim.progress
        #: why the run must end, as soon as that is known
        self.end: RunEnded | None = None
        self._end_since = 0.0
        self._ending = asyncio.Event()
        self._losses = 0  #: of workers, as the unit of a batch found it: a unit may run twice, and be undone
        self._db = db
        self._lease_seconds = lease_seconds

    async def checkpoint(self) -> None:
        """Raise Cancelled, LostLease or Stopping when the run must end; free of cost otherwise."""
        await asyncio.sleep(0)
        if self.end is not None:
            raise self.end

    async def unless_ended(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns, or break it off as soon as the run must end, and raise as `checkpoint` does.

        For what waits on others, such as a slow upstream; a unit of work is never broken off.
        """
        doing, ending = asyncio.ensure_future(work), asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                await self.checkpoint()
            return doing.result()
        finally:
            doing.cancel()
            ending.cancel()
            await asyncio.gather(doing, ending, return_exceptions=True)

    async def fence(self, unit: Unit) -> None:
        """Raise LostLease unless this run is still the job's; nobody takes it over before `unit` has ended."""
        losses = await claims.renew(unit, self.id, self.attempt, self._lease_seconds)
        if losses is None:
            raise LostLease
        self._losses = losses

    async def got_further(self, unit: Unit) -> None:
        """Say, after `fence` and in its unit, that this batch changed something: the job is not what kills workers."""
        if self._losses:
            await claims.forget_losses(unit, self.id, self.attempt)

    async def report(self, target: Database | Unit, progress: dict[str, Any]) -> None:
        """Replace the progress that others see, within a unit or on its own. Raises LostLease."""
        if isinstance(target, Database):
            await target.write(lambda unit: self.report(unit, progress))
        elif not await claims.report(target, self.id, self.attempt, progress):
            raise LostLease

    def interrupt(self, end: RunEnded) -> None:
        """Let the next checkpoint raise `end`. For the worker; a lost lease outranks every other reason."""
        if self.end is None or (isinstance(end, LostLease) and not isinstance(self.end, LostLease)):
            self.end = end
            self._end_since = monotonic()
            self._ending.set()

    def overdue(self, patience: float) -> bool:
        """Say whether the handler has gone on for `patience` seconds after it should have ended."""
        if self.end is None:
            return False
        return isinstance(self.end, LostLease) or monotonic() - self._end_since > patience


Handler = Callable[[RunningJob], Awaitable[None]]
