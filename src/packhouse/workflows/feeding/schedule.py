"""When feeds run: those whose time has come, those somebody asked for, and those a dead worker left behind."""

from __future__ import annotations

from packhouse.catalog.runs import LIVE
from packhouse.catalog.vulnerabilities import feeds
from packhouse.catalog.vulnerabilities.feeds import Feed
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.jobs import Job
from packhouse.core.log import get_logger
from packhouse.workflows.feeding.run import KIND, RETRY_SECONDS
from packhouse.workflows.feeding.turn import record_feed_event
from packhouse.workflows.running import latest_job, offer, see_to
from packhouse.workflows.services import Services

log = get_logger("packhouse.feeds")


async def schedule_feeds(services: Services) -> None:
    """Do one round: start what is due, and resubmit what lost its job.

    Cheap when there is nothing to do; call it every second or so, in one process at a time.
    """
    now = await services.db.now()
    for feed in await feeds.every(services.db):
        if feed.state in (*LIVE, "deleting"):
            await see_to(_revive(services, feed, now), log, feed=feed.name)
        elif _due(feed, now):
            await see_to(_start_due(services, feed), log, feed=feed.name)


def _due(feed: Feed, now: int) -> bool:
    """Whether it is its time; what follows from what it said is settled also after it was switched off."""
    wanted = feed.enabled or feed.settled_run < feed.run
    return wanted and feed.next_run_at is not None and feed.next_run_at <= now


async def start(unit: Unit, feed: Feed, asked_by: str = "", accept_shrink: bool = False) -> None:
    """Let the feed run as soon as a worker is free. One that runs already goes on, and runs again if asked by name."""
    await offer(unit, KIND, str(feed.id))  # holds the job's row, as does every unit of a run
    now = await feeds.hold(unit, feed.id)
    if now is None or now.state == "deleting":
        return
    progress = now.progress
    progress.ask(now.state, asked_by, accept_shrink)
    if now.state == "running":
        await feeds.set_progress(unit, now.id, progress)
        return
    await feeds.set_state(unit, now.id, "pending", progress)


async def _start_due(services: Services, feed: Feed) -> None:
    async def work(unit: Unit) -> None:
        await offer(unit, KIND, str(feed.id))
        now = await feeds.hold(unit, feed.id)
        if now is not None and _due(now, unit.now):
            await feeds.set_next_run(unit, now)
            await start(unit, now)

    await services.db.write(work)


async def _revive(services: Services, feed: Feed, now: int) -> None:
    """Submit the job of a feed that should run and has none; what kept killing its workers has failed."""
    latest = await latest_job(services.db, KIND, str(feed.id))
    if latest is not None and latest.finished_at is None:
        return
    if latest is not None and latest.state == "failed":
        if feed.state == "running":
            await services.db.write(lambda unit: _bury(unit, feed, latest))
            return
        if feed.state == "deleting" and (latest.finished_at or 0) > now - RETRY_SECONDS * SECOND:
            return
    await services.db.write(lambda unit: offer(unit, KIND, str(feed.id)))


async def _bury(unit: Unit, feed: Feed, job: Job) -> None:
    now = await feeds.hold(unit, feed.id)  # first: whoever asks for a run meanwhile is seen, or waits
    latest = await latest_job(unit, KIND, str(feed.id))
    if now is None or now.state != "running" or latest is None or latest.id != job.id:
        return
    now.progress.reason = job.error
    await record_feed_event(unit, "feed_failed", f"feed:{feed.name}", now, {"reason": job.error})
    await feeds.set_state(unit, now.id, now.progress.state_after("failed"), now.progress)
    await feeds.set_ran(unit, now, retry_seconds=RETRY_SECONDS if now.settled_run < now.run else None)
