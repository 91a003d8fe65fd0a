"""When feeds run: those whose time has come, those somebody asked for, and those a dead worker left behind."""

from __future__ import annotations

from collections.abc import Awaitable

from packhouse.catalog.vulnerabilities import feeds
from packhouse.catalog.vulnerabilities.feeds import LIVE, Feed
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import Job, list_jobs, submit
from packhouse.core.log import get_logger
from packhouse.workflows.feeding.run import KIND, RETRY_SECONDS
from packhouse.workflows.feeding.turn import record_feed_event
from packhouse.workflows.services import Services

log = get_logger("packhouse.feeds")


async def schedule_feeds(services: Services) -> None:
    """Do one round: start what is due, and resubmit what lost its job.

    Cheap when there is nothing to do; call it every second or so, in one process at a time.
    """
    now = await services.db.now()
    for feed in await feeds.every(services.db):
        if feed.state in (*LIVE, "deleting"):
            await _guarded(_revive(services, feed, now), feed)
        elif _due(feed, now):
            await _guarded(_start_due(services, feed), feed)


def _due(feed: Feed, now: int) -> bool:
    """Whether it is its time; what follows from what it said is settled also after it was switched off."""
    wanted = feed.enabled or feed.settled_run < feed.run
    return wanted and feed.next_run_at is not None and feed.next_run_at <= now


async def _guarded(step: Awaitable[object], feed: Feed) -> None:
    """Do one step; what goes wrong with one feed does not hold up the others, and is tried again next round."""
    try:
        await step
    except Exception:
        log.exception("feed could not be seen to; it is its turn again in the next round", feed=feed.name)


async def start(unit: Unit, feed: Feed, asked_by: str = "", accept_shrink: bool = False) -> None:
    """Let the feed run as soon as a worker is free. One that runs already goes on, and runs again if asked by name."""
    await offer(unit, feed)  # holds the job's row, as does every unit of a run
    now = await feeds.hold(unit, feed.id)
    if now is None or now.state == "deleting":
        return
    progress = now.progress
    if now.state == "running":
        if asked_by:
            progress.asked_by, progress.asked_to_shrink = asked_by, accept_shrink
            await feeds.set_progress(unit, now.id, progress)
        return
    if asked_by:
        progress.requested_by, progress.accept_shrink = asked_by, accept_shrink
    elif now.state != "pending":  # a yes is for the run it was given to, not for a later one by schedule
        progress.accept_shrink = False
    await feeds.set_state(unit, now.id, "pending", progress)


async def offer(unit: Unit, feed: Feed) -> None:
    """Submit the job of a feed. While an earlier one is still being cancelled, the next round will."""
    try:
        await submit(unit, KIND, str(feed.id), {})
    except PackhouseError as error:
        if error.code != "conflict":
            raise


async def _start_due(services: Services, feed: Feed) -> None:
    async def work(unit: Unit) -> None:
        await offer(unit, feed)
        now = await feeds.hold(unit, feed.id)
        if now is not None and _due(now, unit.now):
            await feeds.set_next_run(unit, now)
            await start(unit, now)

    await services.db.write(work)


async def _revive(services: Services, feed: Feed, now: int) -> None:
    """Submit the job of a feed that should run and has none; what kept killing its workers has failed."""
    jobs = await list_jobs(services.db, kind=KIND, subject=str(feed.id), limit=1)
    latest = jobs[0] if jobs else None
    if latest is not None and latest.finished_at is None:
        return
    if latest is not None and latest.state == "failed":
        if feed.state == "running":
            await services.db.write(lambda unit: _bury(unit, feed, latest))
            return
        if feed.state == "deleting" and (latest.finished_at or 0) > now - RETRY_SECONDS * SECOND:
            return
    await services.db.write(lambda unit: offer(unit, feed))


async def _bury(unit: Unit, feed: Feed, job: Job) -> None:
    now = await feeds.hold(unit, feed.id)  # first: whoever asks for a run meanwhile is seen, or waits
    latest = await list_jobs(unit, kind=KIND, subject=str(feed.id), limit=1)
    if now is None or now.state != "running" or not latest or latest[0].id != job.id:
        return
    now.progress.reason = job.error
    await record_feed_event(unit, "feed_failed", f"feed:{feed.name}", now, {"reason": job.error})
    await feeds.set_state(unit, now.id, "pending" if now.progress.asked_by else "failed", now.progress)
    await feeds.set_ran(unit, now, retry_seconds=RETRY_SECONDS if now.settled_run < now.run else None)
