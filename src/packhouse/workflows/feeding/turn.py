"""One run of one feed: what it knows, what it shows of itself, and the fence around everything it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.vulnerabilities import feeds
from packhouse.catalog.vulnerabilities.feeds import MOST_SKIPS, Feed, Progress, Skip
from packhouse.core.clock import monotonic
from packhouse.core.db import Unit
from packhouse.core.jobs import Cancelled, RunningJob
from packhouse.workflows.running import Edited
from packhouse.workflows.services import Services

T = TypeVar("T")
#: how often a run that writes nothing else shows how far it is, in seconds
SHOW_SECONDS = 1.0


class Turn:
    """A run that has begun. `progress` is written with every unit, `feed` is as it stood when last taken over."""

    def __init__(self, services: Services, job: RunningJob, feed: Feed) -> None:
        self.services = services
        self.job = job
        self.feed = feed
        self.progress = feed.progress
        self._shown = monotonic()

    @property
    def deleting(self) -> bool:
        """Whether the run takes back what the feed said."""
        return self.feed.state == "deleting"

    async def write(self, work: Callable[[Unit], Awaitable[T]], *, alone: bool = False) -> T:
        """Run one fenced unit; while it is `alone`, no feed changes what it says.

        Raises what ends a run: Cancelled, LostLease, Stopping, Edited.
        """
        await self.job.checkpoint()
        result = await self.services.db.write(lambda unit: self._fenced(unit, work, alone))
        self._shown = monotonic()
        return result

    async def _fenced(self, unit: Unit, work: Callable[[Unit], Awaitable[T]], alone: bool) -> T:
        await self.job.fence(unit)
        now = (await feeds.hold_all(unit)).get(self.feed.id) if alone else await feeds.hold(unit, self.feed.id)
        if now is None or now.state not in ("running", "deleting"):
            raise Cancelled
        if now.updated_at != self.feed.updated_at:
            raise Edited
        # its job's row is ours by now, so nobody asks for anything until this unit has ended
        self.progress.hear(now.progress)
        result = await work(unit)
        await feeds.set_progress(unit, now.id, self.progress)
        return result

    def step(self, number: int, description: str) -> None:
        """Say what is being done; others see it with the next unit."""
        self.progress.step, self.progress.description, self.progress.percentage = number, description, 0

    async def show(self) -> None:
        """Let others see how far the run is, unless they saw that a moment ago."""
        await self.job.checkpoint()
        if monotonic() - self._shown > SHOW_SECONDS:
            await self.write(_nothing)

    def skip(self, where: str, reason: str) -> None:
        """Note what was passed over; of many only the first."""
        if len(self.progress.skips) < MOST_SKIPS:
            self.progress.skips.append(Skip(where, reason))

    async def event(self, unit: Unit, kind: str, data: dict[str, Any]) -> None:
        """Record what the run did, as whoever asked for it."""
        await record_feed_event(unit, kind, self.progress.requested_by or f"feed:{self.feed.name}", self.feed, data)


async def record_feed_event(unit: Unit, kind: str, actor: str, feed: Feed, data: dict[str, Any]) -> None:
    """Record what happened to a feed."""
    await record_event(unit, type=kind, actor=actor, object=feed.name, data={"source": feed.source, **data})


async def _nothing(unit: Unit) -> None:
    """The fence and the progress are all there is to write."""


def fresh_progress(feed: Feed) -> Progress:
    """Return the progress a run begins with. What the last one said stays until this one knows better."""
    before = feed.progress
    fresh = Progress(kind=before.kind, reason=before.reason, settled_key=before.settled_key)
    fresh.begin_after(before)
    return fresh
