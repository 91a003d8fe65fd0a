"""A run of a feed as a job: fetch, read to the end, prepare, say it all at once, and settle what follows from that.

The rows are the truth: a run that was killed begins anew in another worker, and what it finds undone is what is left.
A run that fails before the flip changes nothing anybody sees; after it, nothing is left half-way for good.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from packhouse.catalog.runs import LIVE
from packhouse.catalog.vulnerabilities import advisories, feeds
from packhouse.catalog.vulnerabilities.feeds import Feed
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import Handler, RunEnded, RunningJob
from packhouse.core.log import get_logger
from packhouse.workflows.feeding.reading import Spool, read_into
from packhouse.workflows.feeding.settling import settle
from packhouse.workflows.feeding.source import Source, source_of
from packhouse.workflows.feeding.staging import Difference, difference, silenced, stage
from packhouse.workflows.feeding.turn import Turn, fresh_progress
from packhouse.workflows.running import Edited, run_again
from packhouse.workflows.services import Services

#: the kind of job; its subject is the number of the feed
KIND = "feed"
#: when a run that failed half-way through what follows from a feed is done again, in seconds
RETRY_SECONDS = 60
log = get_logger("packhouse.feeds")


def feed_handlers(services: Services) -> dict[str, Handler]:
    """Return the handlers of the jobs of feeds, by kind."""

    async def handle(job: RunningJob) -> None:
        await run_again(partial(_begin, services, job), _run, _fail)

    return {KIND: handle}


async def _begin(services: Services, job: RunningJob) -> Turn | None:
    """Say that the run has begun. None: nothing to run."""

    async def work(unit: Unit) -> Feed | None:
        await job.fence(unit)
        feed = await feeds.hold(unit, int(job.subject))
        if feed is None or feed.state not in (*LIVE, "deleting"):
            return None
        state = "deleting" if feed.state == "deleting" else "running"
        feed = msgspec.structs.replace(feed, state=state, progress=fresh_progress(feed))
        await feeds.set_state(unit, feed.id, state, feed.progress)
        return feed

    found = await services.db.write(work)
    return Turn(services, job, found) if found else None


async def _run(turn: Turn) -> None:
    await settle(turn)  # what a run was killed in
    if turn.deleting:
        await _delete(turn)
        return
    turn.step(1, "Fetching")
    await turn.show()
    async with source_of(turn) as source:
        if source.paths:
            with Spool(turn.services.settings.data_dir / "spool" / "feeds") as spool:
                turn.step(2, "Reading")
                await read_into(turn, spool, source.paths)
                await _take_in(turn, source, spool)
        else:
            await _take_in(turn, source, None)
    await settle(turn)
    await _complete(turn)


async def _take_in(turn: Turn, source: Source, spool: Spool | None) -> None:
    """Prepare what the source says, and let it be what the feed says; without a spool that is what it said before."""
    wanted = {name: place.digest for name, place in spool.places.items()} if spool else None
    found = await _difference(turn, wanted)
    counts = turn.progress.counts
    counts.added, counts.changed, counts.ended = found.added, len(found.changed), found.ended
    gone = found.ended + (await silenced(turn, spool, found) if spool else 0)
    if question := _shrinks(turn, gone, found.before):
        turn.progress.asks = "shrink"
        raise PackhouseError("conflict", question, "If that is right, run the feed again and accept that it shrinks.")
    turn.step(3, "Preparing")
    await stage(turn, spool, found)
    await _flip(turn, source, found)


async def _difference(turn: Turn, wanted: dict[str, bytes] | None) -> Difference:
    feed = turn.feed
    return difference(await advisories.held(turn.services.db, feed.id, feed.run), wanted, feed.run)


def _shrinks(turn: Turn, gone: int, before: int) -> str | None:
    """Return what to ask: one that withdraws its advisories, or empties them, hides as much as one that loses them."""
    percent = turn.services.settings.shrink_guard_percent
    if turn.progress.accept_shrink or gone * 100 <= percent * before:
        return None
    return (
        f"The feed has lost or taken back {gone:,} of its {before:,} advisories, more than {percent} %. "
        "What it said before holds."
    )


async def _flip(turn: Turn, source: Source, found: Difference) -> None:
    """Let what was prepared be what the feed says."""
    feed = turn.feed
    run = feed.run + 1 if found.telling else feed.run

    async def work(unit: Unit) -> int:
        if found.telling:
            await turn.event(unit, "feed_applied", _summary(turn))
        await feeds.set_taken(unit, feed.id, run, source.digest, source.etag, source.last_modified)
        return unit.now

    at = await turn.write(work)
    turn.feed = msgspec.structs.replace(feed, run=run, last_success_at=at)


def _summary(turn: Turn) -> dict[str, Any]:
    """Return the counts that are not zero."""
    return {name: value for name, value in msgspec.structs.asdict(turn.progress.counts).items() if value}


async def _complete(turn: Turn) -> None:
    progress, counts = turn.progress, turn.progress.counts
    news = counts.added or counts.changed or counts.ended
    turn.step(5, "Completed" if news else "Completed: nothing new")
    progress.percentage = 100
    progress.reason = ""
    progress.answered()

    async def work(unit: Unit) -> None:
        await feeds.set_state(unit, turn.feed.id, progress.state_after("completed"), progress)
        await feeds.set_ran(unit, turn.feed)

    await turn.write(work)


async def _delete(turn: Turn) -> None:
    """Take back everything the feed said, as a run would that finds nothing; then it is gone."""
    found = await _difference(turn, {})
    turn.step(3, "Preparing")
    await stage(turn, None, found)
    if found.telling:
        await _flip(turn, Source([], None), found)
        await settle(turn)

    async def end(unit: Unit) -> None:
        await feeds.remove(unit, turn.feed.id)

    await turn.write(end)


async def _fail(turn: Turn, message: str) -> None:
    """Say why the run failed, once for each reason: a machine without a network fails every hour."""
    progress = turn.progress
    news = message != progress.reason
    progress.reason, progress.accept_shrink = message, False
    if news:
        log.warning("feed failed", feed=turn.feed.name, reason=message)

    async def work(unit: Unit) -> None:
        if news:
            await turn.event(unit, "feed_failed", {"reason": message})
        progress.requested_by = ""
        state = "deleting" if turn.deleting else progress.state_after("failed")
        await feeds.set_state(unit, turn.feed.id, state, progress)
        unsettled = turn.feed.settled_run < turn.feed.run
        await feeds.set_ran(unit, turn.feed, retry_seconds=RETRY_SECONDS if unsettled else None)

    try:
        await turn.write(work)
    except (RunEnded, Edited):
        log.info("feed was stopped or edited while it failed", feed=turn.feed.name)
