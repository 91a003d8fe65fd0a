"""One run of one mirror: what it knows, what it shows of itself, and the fence around everything it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import MOST_FAILURES, Counts, Failure, Mirror, Progress
from packhouse.core.clock import monotonic
from packhouse.core.db import Unit
from packhouse.core.jobs import Cancelled, RunningJob
from packhouse.workflows.running import Edited
from packhouse.workflows.services import Services

T = TypeVar("T")

#: how long a unit of work should take, in seconds, and between which numbers of rows it may adapt
UNIT_SECONDS = 0.015
SMALLEST, LARGEST = 250, 2000


class Turn:
    """A run that has begun. `progress` is written with every batch."""

    def __init__(self, services: Services, job: RunningJob, mirror: Mirror, channel: Channel) -> None:
        self.services = services
        self.job = job
        self.mirror = mirror
        self.channel = channel
        self.progress = mirror.progress
        self.batch = 500  #: rows for the next unit

    @property
    def counts(self) -> Counts:
        """What the run has counted so far."""
        return self.progress.count

    async def write(self, work: Callable[[Unit, Channel], Awaitable[T]], rows: int = 0) -> T:
        """Run one fenced unit with the channel as it is in it; `rows` tells how large the batch is, to adapt the next.

        A batch that changes what the mirror holds says so with `job.got_further`: a run that only looks gets nowhere.
        Raises what ends a run: Cancelled, LostLease, Stopping, Edited.
        """
        await self.job.checkpoint()
        result, seconds = await self.services.db.write(lambda unit: self._fenced(unit, work))
        if rows:
            per_row = max(seconds, 0.001) / rows
            self.batch = min(max(int(UNIT_SECONDS / per_row), SMALLEST), LARGEST, self.batch * 2)
        return result

    async def _fenced(self, unit: Unit, work: Callable[[Unit, Channel], Awaitable[T]]) -> tuple[T, float]:
        """Return what the work returns, and how long the unit took without waiting for its turn, in seconds."""
        begun = monotonic()
        await self.job.fence(unit)
        mirror = await store.by_id(unit, self.mirror.id)
        channel = await channels.hold(unit, self.mirror.channel_id)
        if mirror is None or channel is None or mirror.deleted_at is not None or mirror.state != "running":
            raise Cancelled
        if mirror.updated_at != self.mirror.updated_at:
            raise Edited
        # its job's row is ours by now, so nobody asks for anything until this unit has ended
        self.progress.hear(mirror.progress)
        result = await work(unit, channel)
        await store.set_progress(unit, mirror.id, self.progress)
        return result, monotonic() - begun

    def step(self, number: int, description: str, percentage: int = 0) -> None:
        """Say what is being done; others see it with the next batch."""
        self.progress.current_step_number = number
        self.progress.current_step_description = description
        self.progress.current_step_percentage = percentage

    def fail(self, ckey: str, reason: str) -> None:
        """Count a file that could not be taken."""
        self.counts.failed += 1
        if len(self.progress.failures) < MOST_FAILURES:
            self.progress.failures.append(Failure(ckey, reason))


def fresh_progress(mirror: Mirror, steps: int) -> Progress:
    """Return the progress a run begins with: the counts of holdings stay until they are counted again."""
    before = mirror.progress
    counts = Counts(active=before.count.active, passive=before.count.passive)
    full = before.full_run or mirror.needs_full_run
    fresh = Progress(
        total_steps_count=steps,
        count=counts,
        looked_around_at=before.looked_around_at,
        full_run=full,
        takes_nothing=before.takes_nothing,
        meets_others=before.meets_others and not full,  # a full run finds out anew
    )
    fresh.begin_after(before)
    return fresh
