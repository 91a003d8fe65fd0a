"""When mirrors run: those whose schedule is due, those somebody asked for, and those a dead worker left behind."""

from __future__ import annotations

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import LIVE, Mirror
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import list_jobs, next_time, submit
from packhouse.workflows.mirroring.clearing import clear
from packhouse.workflows.mirroring.run import KIND
from packhouse.workflows.services import Services


async def schedule_mirrors(services: Services) -> None:
    """Do one round: start what is due, resubmit what lost its job, and go on clearing deleted mirrors.

    Cheap when there is nothing to do; call it every second or so, in one process at a time.
    """
    db = services.db
    for mirror in await store.due(db, await db.now()):
        await db.write(lambda unit, one=mirror: _start_due(unit, one))  # type: ignore[misc]  # a lambda's default
    for state in LIVE:
        for mirror in await store.in_state(db, state):
            await _revive(services, mirror)
    for mirror in await store.in_state(db, "deleting"):
        await clear(services, mirror.id)


async def start(unit: Unit, mirror: Mirror) -> None:
    """Let the mirror run as soon as a worker is free; one that runs already goes on."""
    if mirror.state != "running":
        progress = mirror.progress
        progress.event_id = 0
        await store.set_state(unit, mirror.id, "pending", progress)
        await changes.note(unit, "mirror", mirror.channel_id)
    await offer(unit, mirror)


async def offer(unit: Unit, mirror: Mirror) -> None:
    """Submit the job of a mirror. While an earlier one is still being cancelled, the next round will."""
    try:
        await submit(unit, KIND, mirror.uuid, {})
    except PackhouseError as error:
        if error.code != "conflict":
            raise


async def _start_due(unit: Unit, mirror: Mirror) -> None:
    now = await store.by_id(unit, mirror.id)
    if now is None or now.deleted_at is not None or now.next_run_at is None or now.next_run_at > unit.now:
        return
    await store.set_next_run(unit, now.id, next_time(now.cron, unit.now) if now.cron else None)
    await start(unit, now)


async def _revive(services: Services, mirror: Mirror) -> None:
    """Submit the job of a mirror that should run and has none; what kept killing its workers has failed."""
    jobs = await list_jobs(services.db, kind=KIND, subject=mirror.uuid, limit=1)
    if jobs and jobs[0].finished_at is None:
        return
    if not jobs or jobs[0].state != "failed" or mirror.state == "pending":
        await services.db.write(lambda unit: offer(unit, mirror))
        return
    await services.db.write(lambda unit: _bury(unit, mirror, jobs[0].error))


async def _bury(unit: Unit, mirror: Mirror, reason: str) -> None:
    progress = msgspec.structs.replace(mirror.progress, last_exception=reason)
    now = await store.by_id(unit, mirror.id)
    if now is None or now.state != "running":
        return
    await record_event(
        unit,
        type="mirroring_failed",
        actor=f"mirror:{mirror.id}",
        object=mirror.name,
        channel_id=mirror.channel_id,
        data={"mirror": mirror.name, "mirror_id": mirror.uuid, "reason": reason},
    )
    await store.set_state(unit, mirror.id, "failed", progress)
