"""A run of a mirror as a job: it begins, takes in metadata, downloads if the mirror is active, and ends with an event.

The catalogue's state is the truth: a run that was killed begins anew in another worker, and its difference is what was
left to do.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings, store
from packhouse.catalog.mirrors.mirror import Counts, Mirror, Progress
from packhouse.catalog.runs import LIVE
from packhouse.core.db import Unit
from packhouse.core.jobs import Handler, RunEnded, RunningJob
from packhouse.core.log import get_logger
from packhouse.formats import registry
from packhouse.workflows.mirroring.downloading import Downloading
from packhouse.workflows.mirroring.journal import forget_journals
from packhouse.workflows.mirroring.metadata import Metadata
from packhouse.workflows.mirroring.obtaining import fetcher_of
from packhouse.workflows.mirroring.policy import own_policy
from packhouse.workflows.mirroring.revisiting import revisit
from packhouse.workflows.mirroring.turn import Turn, fresh_progress
from packhouse.workflows.mirroring.upstream import Reader
from packhouse.workflows.mirroring.withholding import until_judged
from packhouse.workflows.running import Edited, run_again
from packhouse.workflows.services import Services

#: the kind of job; its subject is the mirror's uuid
KIND = "mirror"
log = get_logger("packhouse.mirrors")


def mirror_handlers(services: Services) -> dict[str, Handler]:
    """Return the handlers of the jobs that this package submits, by kind."""

    async def handle(job: RunningJob) -> None:
        await run_again(partial(_begin, services, job), _run, _fail)

    return {KIND: handle}


async def _begin(services: Services, job: RunningJob) -> Turn | None:
    """Say that the run has begun; a run that continues a killed one has its event already. None: nothing to run."""

    async def work(unit: Unit) -> tuple[Mirror, Channel] | None:
        await job.fence(unit)
        mirror = await store.by_uuid(unit, job.subject)
        channel = await channels.by_id(unit, mirror.channel_id) if mirror else None
        if mirror is None or channel is None or mirror.state not in LIVE:
            return None
        continued = mirror.state == "running" and mirror.progress.event_id != 0
        progress = fresh_progress(mirror, 4 if mirror.active else 3)
        progress.event_id = mirror.progress.event_id
        if not continued:
            asked = msgspec.structs.replace(mirror, progress=progress)
            progress.event_id = await _event(unit, asked, channel, "mirroring_started", {"mode": mirror.mode})
        await store.set_state(unit, mirror.id, "running", progress)
        if mirror.needs_full_run:  # this run's to do; whoever asks from now on asks for the next one
            await store.set_full_run(unit, mirror.id, False)
        await changes.note(unit, "mirror", channel.id)
        full = progress.full_run
        return msgspec.structs.replace(mirror, state="running", progress=progress, needs_full_run=full), channel

    found = await services.db.write(work)
    return Turn(services, job, *found) if found else None


async def _event(unit: Unit, mirror: Mirror, channel: Channel, kind: str, data: dict[str, Any]) -> int:
    return await record_event(
        unit,
        type=kind,
        actor=mirror.progress.requested_by or f"mirror:{mirror.id}",
        object=f"{channel.path}/{mirror.name}",
        channel_id=channel.id,
        data={"mirror": mirror.name, "mirror_id": mirror.uuid, "source": mirror.source, **data},
    )


async def _run(turn: Turn) -> None:
    services, mirror = turn.services, turn.mirror
    if registry.get(mirror.family).upstream is not None:
        await revisit(turn)
        await _complete(turn, False)
        return
    before, own = await store.indexes(services.db, mirror.id), await own_policy(services.db, mirror)
    async with fetcher_of(services, mirror) as fetcher:
        looked = await Metadata(turn, Reader(fetcher, mirror.id), before, own).run()
        if looked or mirror.active:
            await _count(turn)
        await forget_journals(services)
        if mirror.active and turn.counts.passive:
            turn.step(4, "Downloading")
            await until_judged(turn)
            await _count(turn)
            with closing(Downloading(turn, fetcher, await store.indexes(services.db, mirror.id))) as downloading:
                await downloading.recover()
                await downloading.run(turn.counts.passive - turn.counts.held_back)
            await services.publisher.publish(turn.channel.id)
            await _count(turn)
    await _complete(turn, looked)


async def _count(turn: Turn) -> None:
    db, mirror, counts = turn.services.db, turn.mirror, turn.counts
    counts.active, counts.passive = await holdings.count(db, mirror.id, turn.channel.id)
    inherits = mirror.active and mirror.options.use_channel_policy
    counts.held_back = await holdings.held_back(db, mirror.id, turn.channel.id) if inherits else 0


async def _complete(turn: Turn, looked: bool) -> None:
    progress = turn.progress
    progress.answered()
    conflicts = await store.conflicts(turn.services.db, turn.mirror.id)
    turn.counts.conflicts = sum(one.decision is None for one in conflicts)
    if looked:  # at everything, or at what is new since it was found so
        progress.takes_nothing = _empty(turn.counts) and (turn.mirror.needs_full_run or progress.takes_nothing)
    turn.step(progress.total_steps_count, "Completed" + (_why_nothing(turn) if progress.takes_nothing else ""), 100)

    async def work(unit: Unit, channel: Channel) -> None:
        data = _summary(progress) | ({"takes_nothing": True} if progress.takes_nothing else {})
        if looked:
            await _tell_counts(unit, turn, channel)
        await _event(unit, turn.mirror, channel, "mirroring_completed", data)
        await store.set_state(unit, turn.mirror.id, progress.state_after("completed"), progress)
        await store.set_last_run(unit, turn.mirror.id)
        await changes.note(unit, "mirror", channel.id)

    await turn.write(work)


async def _tell_counts(unit: Unit, turn: Turn, channel: Channel) -> None:
    """Say by events of their own, one of a kind, what a run changed of files and which it passed over."""
    counts = turn.counts
    if counts.updated:
        await _event(unit, turn.mirror, channel, "artifact_metadata_updated", {"count": counts.updated})
    if skipped := _skipped(counts):
        data = {"count": sum(skipped.values()), "why": skipped}
        await _event(unit, turn.mirror, channel, "artifact_skipped", data)


def _skipped(counts: Counts) -> dict[str, int]:
    """Return why the files of the upstream that a run met were not taken in, and how many of them."""
    reasons = ("failed", "conflicts", "held", "kept_out", "unsupported")
    found = {name: getattr(counts, name) for name in reasons} | msgspec.structs.asdict(counts.mirror_filtered)
    return {name: count for name, count in found.items() if count}


def _empty(counts: Counts) -> bool:
    """Whether the upstream had no file for the mirror, be it one that others hold, people took out or is unusable."""
    found = (counts.active, counts.passive, counts.failed, counts.conflicts, counts.held, counts.kept_out)
    return not any((*found, counts.unsupported, counts.deferred))


def _why_nothing(turn: Turn) -> str:
    if filters := msgspec.to_builtins(turn.mirror.filters):  # only those that are set
        return f", but no file of the upstream passes the filters ({', '.join(filters)}): is a name mistyped?"
    return ", but the upstream has no files."


def _summary(progress: Progress) -> dict[str, Any]:
    """Return the counts that are not zero."""
    found: dict[str, Any] = msgspec.to_builtins(progress.count)
    flat = {name: value for name, value in found.items() if value and not isinstance(value, dict)}
    filtered = {name: value for name, value in found["mirror_filtered"].items() if value}
    return {**flat, **({"filtered": filtered} if filtered else {})}


async def _fail(turn: Turn, message: str) -> None:
    """Say why the run failed; the channel keeps showing what it has."""
    log.warning("mirror run failed", mirror=turn.mirror.name, channel=turn.channel.path, reason=message)
    progress = turn.progress
    progress.last_exception = message
    progress.answered()

    async def work(unit: Unit, channel: Channel) -> None:
        data = {"reason": message, **_summary(progress)}
        await _event(unit, turn.mirror, channel, "mirroring_failed", data)
        await store.set_state(unit, turn.mirror.id, progress.state_after("failed"), progress)
        await store.set_last_run(unit, turn.mirror.id)
        await changes.note(unit, "mirror", channel.id)

    try:
        await turn.write(work)
    except (RunEnded, Edited):
        log.info("mirror was stopped or edited while it failed", mirror=turn.mirror.name, channel=turn.channel.path)
    await turn.services.publisher.publish(turn.channel.id)
