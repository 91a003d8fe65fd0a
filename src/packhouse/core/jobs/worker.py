"""The worker: takes jobs from the table, runs their handlers, keeps their leases, and lets go of them in good order.

Kinds that must not wait for each other, such as hours of mirroring and a policy edit, get a worker each; several
workers in one process are fine.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping

from packhouse.core.db import Database
from packhouse.core.db.base import Work
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import claims
from packhouse.core.jobs.job import Cancelled, LostLease, RunEnded, Stopping
from packhouse.core.jobs.running import Handler, RunningJob
from packhouse.core.jobs.waiting import pause

_log = logging.getLogger(__name__)

#: how often a worker looks for jobs and for cancelled ones, in seconds
POLL_SECONDS = 0.03
#: how long a silent worker keeps its jobs, in seconds; it renews six times as often
LEASE_SECONDS = 30.0
#: how long a handler may go on after it was told to end, before it is cut off, in seconds
PATIENCE_SECONDS = 10.0
#: how long a job waits when a part it needs is away, in seconds, unless that part says it
AWAY_SECONDS = 10.0


class Worker:
    """Runs up to `concurrency` jobs at once, of the kinds it has handlers for."""

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, Handler],
        name: str,
        concurrency: int = 4,
        *,
        lease_seconds: float = LEASE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._db = db
        self._handlers = handlers
        self._kinds = sorted(handlers)
        self._holder = f"{name}:{secrets.token_hex(4)}"  # two workers of one name are still two
        self._concurrency = concurrency
        self._lease = lease_seconds
        self._patience = patience_seconds
        self._runs: dict[RunningJob, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> None:
        """Work until `stop`. Outlives a database that is away; raises only what is a fault of the program."""
        self._ended.clear()
        keeper = asyncio.create_task(self._keep())
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                try:
                    await self._look()
                except PackhouseError as error:
                    _log.warning("Jobs wait: %s", error)
                await pause(self._wake, POLL_SECONDS)
                if keeper.done():
                    keeper.result()
        finally:
            self._stopping.set()
            await self._wind_down()
            keeper.cancel()
            self._ended.set()

    async def stop(self) -> None:
        """Let every handler see `Stopping`, give its job back for others to continue, and return when `run` has."""
        self._stopping.set()
        self._wake.set()
        await self._ended.wait()

    async def _look(self) -> None:
        await self._watch()
        while len(self._tasks) < self._concurrency and not self._stopping.is_set():
            if not await claims.ready(self._db, self._kinds):
                return
            taken = await self._db.write(lambda unit: claims.claim(unit, self._kinds, self._holder, self._lease))
            if taken is None:
                return
            self._begin(taken)

    def _begin(self, taken: claims.Claim) -> None:
        run = RunningJob(self._db, taken, self._lease)
        if taken.cancel_requested:
            run.interrupt(Cancelled())
        work = self._bury(run) if taken.losses >= claims.MAX_LOSSES else self._execute(run)
        task = asyncio.create_task(work, name=f"job {run.id}")
        self._runs[run] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._wake.set())

    async def _watch(self) -> None:
        """Tell runs that were cancelled or lost, and cut off the ones that do not listen."""
        if not self._runs:
            return
        alive = await claims.watch(self._db, [run.id for run in self._runs])
        for run, task in list(self._runs.items()):
            attempt, cancelled = alive.get(run.id, (0, False))
            if attempt != run.attempt:
                run.interrupt(LostLease())
            elif cancelled:
                run.interrupt(Cancelled())
            if run.overdue(self._patience):
                del self._runs[run]  # so that it is cut off once, and its last words are not
                task.cancel()

    async def _keep(self) -> None:
        """Renew the leases. One unit each: a handler's own unit may hold the row of its job for a while."""
        while True:
            await asyncio.sleep(self._lease / 6)
            await asyncio.gather(*(self._renew(run) for run in list(self._runs)))

    async def _renew(self, run: RunningJob) -> None:
        try:
            if await self._db.write(lambda unit: claims.renew(unit, run.id, run.attempt, self._lease)) is None:
                run.interrupt(LostLease())
        except PackhouseError as error:
            _log.warning("The lease of job %d could not be renewed: %s", run.id, error)

    async def _execute(self, run: RunningJob) -> None:
        try:
            await self._handlers[run.kind](run)
        except asyncio.CancelledError:
            end: Exception | None = run.end or Stopping()
        except Exception as error:  # whatever goes wrong in a handler belongs to its job, never to the worker
            end = error
        else:
            end = None
        self._runs.pop(run, None)
        await self._settle(run, end)

    async def _bury(self, run: RunningJob) -> None:
        self._runs.pop(run, None)
        text = f"{claims.MAX_LOSSES} workers died while they ran this job. See their logs, then start it again."
        await self._write(run, lambda unit: claims.finish(unit, run.id, run.attempt, "failed", text))

    async def _settle(self, run: RunningJob, end: Exception | None) -> None:
        """Write down how a run ended, unless the job is somebody else's by now."""
        if isinstance(end, LostLease):
            _log.info("Job %d (%s %s) went to another worker.", run.id, run.kind, run.subject)
        elif isinstance(end, Stopping):
            await self._write(run, lambda unit: claims.give_back(unit, run.id, run.attempt))
        elif isinstance(end, PackhouseError) and end.code == "try_later":
            text, seconds = str(end), end.retry_after or AWAY_SECONDS
            await self._write(
                run, lambda unit: claims.give_back(unit, run.id, run.attempt, seconds=seconds, error=text)
            )
        else:
            state = "done" if end is None else "cancelled" if isinstance(end, RunEnded) else "failed"
            text = _failure(run, end) if state == "failed" else ""
            await self._write(run, lambda unit: claims.finish(unit, run.id, run.attempt, state, text))

    async def _write(self, run: RunningJob, work: Work[bool]) -> None:
        while True:
            try:
                if not await self._db.write(work):
                    _log.info("Job %d (%s %s) had ended for this worker.", run.id, run.kind, run.subject)
                return
            except PackhouseError as error:
                if self._stopping.is_set():
                    _log.warning("Job %d is left to its lease: %s", run.id, error)
                    return
                await asyncio.sleep(1)

    async def _wind_down(self) -> None:
        for run in self._runs:
            run.interrupt(Stopping())
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._patience)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=self._patience)


def _failure(run: RunningJob, error: Exception | None) -> str:
    """Return what a person may read. Texts of unknown exceptions can hold credentials, so they go to the log only."""
    if isinstance(error, PackhouseError):
        return str(error)
    _log.error("Job %d (%s %s) failed.", run.id, run.kind, run.subject, exc_info=error)
    return (
        f"A fault of the server itself ({type(error).__name__}); the worker's log has the details under job {run.id}."
    )
