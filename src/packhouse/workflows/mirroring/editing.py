"""What people do with mirrors: create, update, delete, run, stop, decide conflicts, restore what was kept out.

Each is one unit of work with one audit event; what follows from it is done by the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import origins, pages, store
from packhouse.catalog.mirrors.credentials import seal, unseal
from packhouse.catalog.mirrors.mirror import Mirror, Spec
from packhouse.catalog.mirrors.source import check_spec
from packhouse.catalog.packages import entries
from packhouse.catalog.runs import LIVE
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import cancel, hold, next_time
from packhouse.core.randomness import new_uuid
from packhouse.workflows.judging.arriving import judge_departures
from packhouse.workflows.judging.mirror_policies import assigned_to_mirror, held_policy
from packhouse.workflows.mirroring.clearing import clear
from packhouse.workflows.mirroring.policy import policy_of
from packhouse.workflows.mirroring.run import KIND
from packhouse.workflows.mirroring.schedule import start
from packhouse.workflows.publishing.channels import hold_writable
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.running import offer
from packhouse.workflows.services import Services

#: coordinates restored by one request
MOST_RESTORED = 1000
#: entries told their origin by one unit
ORIGINS = 2000


async def create_mirror(
    services: Services, channel: Channel, actor: str, spec: Spec, *, administrator: bool, run_now: bool = False
) -> Mirror:
    """Add a mirror to a channel; it runs by its schedule, and now if asked. One that never ran is `stopped`.

    Raises PackhouseError: `bad_request`, `unsupported_type`, `forbidden`, `conflict` for a name that is taken.
    """
    checked = check_spec(spec, administrator=administrator)
    policy_of(checked.filters)
    uuid, sealed = new_uuid(), seal(services.sealer, checked.credential, checked.source)

    async def work(unit: Unit) -> Mirror:
        policy = await held_policy(unit, checked)
        await _require_free_name(unit, channel, checked.name)
        next_run_at = next_time(checked.cron, unit.now) if checked.cron else None
        mirror_id = await store.insert_mirror(unit, uuid, channel.id, checked, sealed, "stopped", next_run_at)
        mirror = await _required(unit, mirror_id)
        await _event(unit, "mirror_registered", actor, channel, mirror, {"mode": mirror.mode, "cron": mirror.cron})
        if policy is not None:
            await assigned_to_mirror(unit, actor, channel, mirror, policy)
        if run_now:
            await start(unit, mirror, actor)
        await changes.note(unit, "mirror", channel.id)
        return await _required(unit, mirror_id)

    return await services.db.write(work)


async def update_mirror(
    services: Services,
    channel: Channel,
    mirror: Mirror,
    actor: str,
    spec: Spec,
    *,
    administrator: bool,
    run_now: bool = False,
) -> Mirror:
    """Replace the whole spec; the next run reconciles the content with it. A run that is under way begins anew.

    Raises PackhouseError as `create_mirror`, and `not_found`.
    """
    checked = check_spec(spec, administrator=administrator, now=unseal(services.sealer, mirror))
    policy_of(checked.filters)
    sealed = seal(services.sealer, checked.credential, checked.source)
    if checked.source != mirror.source:
        await _tell_origin(services, mirror)

    async def work(unit: Unit) -> Mirror:
        policy = await held_policy(unit, checked)
        await (offer(unit, KIND, mirror.uuid) if run_now else hold(unit, KIND, mirror.uuid))
        now = await _held(unit, mirror.id)
        await _require_free_name(unit, channel, checked.name, but=mirror.id)
        if checked.source != now.source:  # what stands in its index is old again, and only had where it was found
            await origins.tell_rest(unit, mirror.id)
            await origins.part(unit, now)
            await store.drop_index(unit, mirror.id)
            await pages.drop(unit, mirror.id)
        next_run_at = next_time(checked.cron, unit.now) if checked.cron else None
        await store.edit(unit, mirror.id, checked, sealed, next_run_at)
        edited = await _required(unit, mirror.id)
        await _event(unit, "mirror_updated", actor, channel, edited, {"mode": edited.mode, "cron": edited.cron})
        if checked.options.policy_id != now.options.policy_id:
            await assigned_to_mirror(unit, actor, channel, edited, policy, now.options.policy_id)
        if run_now:
            await start(unit, edited, actor)
        await changes.note(unit, "mirror", channel.id)
        return await _required(unit, mirror.id)

    return await services.db.write(work)


async def _tell_origin(services: Services, mirror: Mirror) -> None:
    """Let the files a mirror has not fetched say where they come from, before it turns elsewhere; in batches."""
    after = 0
    while ids := await origins.untold(services.db, mirror.id, after, ORIGINS):

        async def work(unit: Unit, ids: list[int] = ids) -> None:
            await origins.tell(unit, mirror.id, ids)

        await services.db.write(work)
        after = ids[-1]


async def delete_mirror(
    services: Services, channel: Channel, mirror: Mirror, actor: str, *, files: bool = False
) -> None:
    """Delete a mirror and the files it has not fetched; with `files` those it has fetched, too.

    The mirror is gone at once; of many files, some go in the seconds that follow. Kept files stay as if they had been
    uploaded. Raises PackhouseError: `not_found`, `channel_frozen`.
    """

    async def work(unit: Unit) -> None:
        await cancel(unit, (KIND, mirror.uuid))
        now = await _held(unit, mirror.id)
        here = await channels.by_id(unit, channel.id)
        if here is not None and here.frozen_at is not None:
            raise PackhouseError(
                "channel_frozen",
                f"The channel {here.path!r} is frozen: what its index promises must stay downloadable.",
                "Unfreeze it, then try again; stopping the mirror is possible now.",
            )
        progress = now.progress
        progress.purge = files
        progress.event_id = await _event(unit, "mirror_deleted", actor, channel, now, {"files_removed": files})
        await store.mark_deleted(unit, mirror.id, progress)
        await changes.note(unit, "mirror", channel.id)

    await services.db.write(work)
    await clear(services, mirror.id)


async def run_mirror_now(services: Services, mirror: Mirror, actor: str, *, accept_shrink: bool = False) -> Mirror:
    """Run a mirror as soon as a worker is free, once more if it is running; also what restarts a stopped one.

    `accept_shrink` is the answer to a run that stopped because the upstream had lost most of its files.
    Raises PackhouseError("not_found").
    """

    async def work(unit: Unit) -> Mirror:
        now = await _required(unit, mirror.id)
        await start(unit, now, actor, accept_shrink)
        return await _required(unit, mirror.id)

    return await services.db.write(work)


async def stop_mirror(services: Services, channel: Channel, mirror: Mirror, actor: str) -> Mirror:
    """Halt a mirror that runs or waits to; what it has taken in stays.

    Raises PackhouseError: `not_found`, `conflict` when it does neither.
    """

    async def work(unit: Unit) -> Mirror:
        await cancel(unit, (KIND, mirror.uuid))
        now = await _held(unit, mirror.id)
        if now.state not in LIVE:
            raise PackhouseError(
                "conflict", f"The mirror {now.name!r} is not running: it is {now.state}.", "There is nothing to stop."
            )
        await _event(unit, "mirroring_stopped", actor, channel, now, {})
        now.progress.withdraw()
        await store.set_state(unit, mirror.id, "stopped", now.progress)
        await changes.note(unit, "mirror", channel.id)
        return await _required(unit, mirror.id)

    return await services.db.write(work)


async def decide_conflict(
    services: Services, channel: Channel, mirror: Mirror, actor: str, partition: str, filename: str, decision: str
) -> None:
    """Settle a coordinate with other bytes upstream: `keep` what is here, or `remove` it from the channel.

    The upstream's bytes never take the place of ours: a coordinate has one content for ever. Raises PackhouseError:
    `bad_request`, `not_found`, `channel_frozen`.
    """
    if decision not in ("keep", "remove"):
        raise PackhouseError("bad_request", f"{decision[:40]!r} is not a decision.", "Use keep or remove.")

    async def work(unit: Unit) -> None:
        here = await hold_writable(unit, channel.id) if decision == "remove" else channel
        now = await _required(unit, mirror.id)
        if not await store.decide_conflict(unit, mirror.id, partition, filename, decision):
            raise PackhouseError(
                "not_found", f"There is no conflict about {partition}/{filename[:200]}.", "List them to see which are."
            )
        data = {"ckey": f"{partition}/{filename}", "decision": decision}
        event_id = await _event(unit, "mirror_conflict_decided", actor, here, now, data)
        if decision == "remove":
            await _take_out(unit, here, now.family, partition, filename, event_id)

    await services.db.write(work)
    await services.publisher.publish(channel.id)


async def _take_out(unit: Unit, channel: Channel, family: str, partition: str, filename: str, event_id: int) -> None:
    found = await entries.find(unit, channel.id, family, partition, filename)
    if found is None or not await entries.lock(unit, [found.id]):
        return
    await entries.remove(unit, [found.id], "removal", True, event_id)
    await judge_departures(unit, channel, {(family, found.name)})
    await entries.mark_dirty(unit, channel.id, [(partition, found.name)])
    await changes.note(unit, "entry", channel.id)


async def restore(services: Services, channel: Channel, actor: str, items: Sequence[Item]) -> int:
    """Let mirrors bring files again that a person deleted or moved away; return how many there were.

    Each item is a package, or one file of it. The next runs bring them. Raises PackhouseError: `bad_request`,
    `not_found` when nothing of that was ever removed by a person.
    """
    if len(items) > MOST_RESTORED:
        raise PackhouseError("bad_request", f"At most {MOST_RESTORED:,} items at a time.", "Send several requests.")

    async def work(unit: Unit) -> int:
        number = sum([await store.forgive(unit, channel.id, item.family, item.name, item.ckey) for item in items])
        if not number:
            raise PackhouseError("not_found", "None of these files was taken out by a person.", "See what is kept out.")
        await store.ask_full_run(unit, channel.id)
        await record_event(
            unit,
            type="artifact_restored",
            actor=actor,
            object=channel.path,
            channel_id=channel.id,
            data={"files": number, "names": sorted({item.name for item in items})[:100]},
        )
        return number

    return await services.db.write(work)


async def _held(unit: Unit, mirror_id: int) -> Mirror:
    """Return the mirror as it stays until the unit has ended, which has its job's row by now: every unit of a run does.

    Raises as `_required`.
    """
    return _there(await store.hold(unit, mirror_id))


async def _required(unit: Unit, mirror_id: int) -> Mirror:
    return _there(await store.by_id(unit, mirror_id))


def _there(mirror: Mirror | None) -> Mirror:
    if mirror is None or mirror.deleted_at is not None:
        raise PackhouseError("not_found", "The mirror is gone.", "List the mirrors to see what there is.")
    return mirror


async def _require_free_name(unit: Unit, channel: Channel, name: str, but: int = 0) -> None:
    if any(one.name == name and one.id != but for one in await store.of_channel(unit, channel.id)):
        raise PackhouseError(
            "conflict", f"{channel.path!r} has a mirror named {name!r} already.", "Choose another name, or update it."
        )


async def _event(unit: Unit, kind: str, actor: str, channel: Channel, mirror: Mirror, data: dict[str, Any]) -> int:
    return await record_event(
        unit,
        type=kind,
        actor=actor,
        object=f"{channel.path}/{mirror.name}",
        channel_id=channel.id,
        data={"mirror": mirror.name, "mirror_id": mirror.uuid, "source": mirror.source, **data},
    )
