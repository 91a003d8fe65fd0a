"""When mirrors run: those whose schedule is due, those somebody asked for, and those a dead worker left behind."""

from __future__ import annotations

from functools import partial

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.runs import LIVE
from packhouse.core.db import Unit
from packhouse.core.jobs import Job, next_time
from packhouse.core.log import get_logger
from packhouse.workflows.mirroring.clearing import clear
from packhouse.workflows.mirroring.run import KIND
from packhouse.workflows.running import latest_job, offer, see_to
from packhouse.workflows.services import Services

log = get_logger("packhouse.mirrors")


async def schedule_mirrors(services: Services) -> None:
    """Do one round: start what is due, resubmit what lost its job, and go on clearing deleted mirrors.

    Cheap when there is nothing to do; call it every second or so, in one process at a time.
    """
    db = services.db
    for mirror in await store.due(db, await db.now()):
        await see_to(db.write(partial(_start_due, mirror=mirror)), log, mirror=mirror.uuid)
    for state in LIVE:
        for mirror in await store.in_state(db, state):
            await see_to(_revive(services, mirror), log, mirror=mirror.uuid)
    for mirror in await store.to_be_cleared(db):
        await see_to(clear(services, mirror.id), log, mirror=mirror.uuid)


async def start(unit: Unit, mirror: Mirror, asked_by: str = "", accept_shrink: bool = False) -> None:
    """Let the mirror run as soon as a worker is free. One that runs already goes on, and runs again if asked by name.

    `accept_shrink` is for the run that is asked for, not for one under way.
    """
    # holds the job's row, as does every unit of a run: progress stays as read from here on
    await offer(unit, KIND, mirror.uuid)
    now = await store.hold(unit, mirror.id)  # against `_bury`
    if now is None:
        return
    progress = now.progress
    progress.ask(now.state, asked_by, accept_shrink)
    if now.state == "running":
        await store.set_progress(unit, now.id, progress)
        return
    progress.event_id = 0
    await store.set_state(unit, now.id, "pending", progress)
    await changes.note(unit, "mirror", now.channel_id)


async def _start_due(unit: Unit, mirror: Mirror) -> None:
    # the job's row before the mirror's, here too; nothing runs if it is not due any more
    await offer(unit, KIND, mirror.uuid)
    now = await store.hold(unit, mirror.id)
    if now is None or now.deleted_at is not None or now.next_run_at is None or now.next_run_at > unit.now:
        return
    await store.set_next_run(unit, now.id, next_time(now.cron, unit.now) if now.cron else None)
    await start(unit, now)


async def _revive(services: Services, mirror: Mirror) -> None:
    """Submit the job of a mirror that should run and has none; what kept killing its workers has failed."""
    latest = await latest_job(services.db, KIND, mirror.uuid)
    if latest is not None and latest.finished_at is None:
        return
    if latest is None or latest.state != "failed" or mirror.state == "pending":
        await services.db.write(lambda unit: offer(unit, KIND, mirror.uuid))
        return
    if await services.db.write(lambda unit: _bury(unit, mirror, latest)):
        channel = await channels.by_id(services.db, mirror.channel_id)
        path = channel.path if channel else None
        log.warning("mirror run failed", mirror=mirror.name, channel=path, reason=latest.error)


async def _bury(unit: Unit, mirror: Mirror, job: Job) -> bool:
    now = await store.hold(unit, mirror.id)  # first: whoever asks for a run meanwhile is seen, or waits
    latest = await latest_job(unit, KIND, mirror.uuid)
    if now is None or now.state != "running" or latest is None or latest.id != job.id:
        return False
    progress = now.progress
    progress.last_exception = job.error
    await record_event(
        unit,
        type="mirroring_failed",
        actor=f"mirror:{mirror.id}",
        object=mirror.name,
        channel_id=mirror.channel_id,
        data={"mirror": mirror.name, "mirror_id": mirror.uuid, "reason": job.error},
    )
    await store.set_state(unit, mirror.id, progress.state_after("failed"), progress)
    await store.set_last_run(unit, mirror.id)
    await changes.note(unit, "mirror", mirror.channel_id)
    return True
