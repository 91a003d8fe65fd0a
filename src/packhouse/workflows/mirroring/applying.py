"""Carries out a plan in small units of work: additions first, removals only after every partition's additions.

So a killed run leaves a channel in which everything that could be solved still can, and the next run's difference
is what is left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from packhouse.catalog import changes
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings, store
from packhouse.catalog.mirrors.holdings import Held, Incoming, Known
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.packages import contents, entries
from packhouse.core.db import Unit
from packhouse.workflows.judging.arriving import judge_arrivals, judge_departures
from packhouse.workflows.mirroring.intake import conflict
from packhouse.workflows.mirroring.plan import Plan
from packhouse.workflows.mirroring.preparing import prepared, tasks
from packhouse.workflows.mirroring.showing import Showing
from packhouse.workflows.mirroring.survey import entry_ids, standing
from packhouse.workflows.mirroring.turn import Turn
from packhouse.workflows.mirroring.upstream import Source


class Cause(NamedTuple):
    """On whose behalf, and by which event, the entries of a channel change."""

    mirror: Mirror
    event_id: int


class Applied:
    """What one unit did; added to the counts only once it is committed, since a unit may run more than once."""

    def __init__(self) -> None:
        self.added = self.updated = self.deferred = 0
        self.conflicts: list[str] = []

    @property
    def changed(self) -> bool:
        """Whether the channel shows anything else than before."""
        return bool(self.added or self.updated)


async def take_in(turn: Turn, source: Source, plan: Plan, showing: Showing, first: bool) -> set[str]:
    """Add and update what the plan says; return the file names in conflict. `first`: no index was taken in before."""
    for filename, reason in (*source.faults, *plan.unusable):
        turn.fail(f"{plan.partition}/{filename}", reason)
    todo = tasks(plan)
    contested: set[str] = set()
    done = 0
    writing: asyncio.Task[list[str]] | None = None
    try:
        while done < len(todo):
            part = todo[done : done + turn.batch]
            batch, refused = prepared(source, part)  # while the batch before is written
            if writing is not None:
                contested.update(await writing)
            for filename, reason in refused:
                turn.fail(f"{plan.partition}/{filename}", reason)
            done += len(part)
            turn.progress.current_step_percentage = 100 * done // len(todo)
            turn.progress.last_ckey = f"{plan.partition}/{part[-1].filename}"
            showing.taken_in(len(part))
            writing = asyncio.create_task(_write(turn, source.partition, batch, first))
            await asyncio.sleep(0)  # the database has it now
        if writing is not None:
            contested.update(await writing)
    finally:
        if writing is not None:
            await asyncio.wait([writing])
    return contested


async def _write(turn: Turn, partition: str, part: Sequence[Incoming], first: bool) -> list[str]:
    async def work(unit: Unit, channel: Channel) -> Applied:
        cause = Cause(turn.mirror, turn.progress.event_id)
        applied = await take_in_batch(unit, cause, channel, partition, part, first)
        if applied.changed:
            await turn.job.got_further(unit)
        return applied

    applied = await turn.write(work, len(part))
    turn.counts.added += applied.added
    turn.counts.updated += applied.updated
    turn.counts.deferred += applied.deferred
    return applied.conflicts


async def take_in_batch(
    unit: Unit, cause: Cause, channel: Channel, partition: str, batch: Sequence[Incoming], first: bool
) -> Applied:
    """Write one batch. Other bytes than a coordinate stands for are never taken, only reported.

    `first`: what stands in the index counts as old, as it is the first one we see.
    """
    applied = Applied()
    held = await holdings.held(unit, entry_ids(batch))
    names = [one.filename for one in batch]
    bound = await holdings.bound(unit, channel.id, channel.path, cause.mirror.family, partition, names)
    conflicts: list[dict[str, Any]] = []
    adds: list[Incoming] = []
    updates: list[Incoming] = []
    for one in batch:
        there = standing(one, held)
        if (reason := conflict(one, there, bound)) is not None:
            conflicts.append(_conflict(cause, partition, one, there, bound, reason))
        elif one.entry_id is None:
            adds.append(one)
        elif there is not None and not one.foreign:
            updates.append(one)
    if channel.frozen_at is not None:  # what the pinned index promises must stay downloadable
        applied.deferred, updates = len(updates), []
    ids = await contents.add_records(unit, [one.record for one in (*adds, *updates)])
    await entries.add(unit, [_row(unit, cause, channel, partition, one, ids, first) for one in adds])
    await holdings.replace_records(unit, updates, ids)
    await store.put_conflicts(unit, conflicts)
    changed = [one for one in updates if held[one.entry_id or 0].record_id != ids[one.record.sha256]]
    dirty = {(partition, one.record.name) for one in (*adds, *changed)}
    if dirty:
        arrived = [ids[one.record.sha256] for one in (*adds, *changed)]
        await judge_arrivals(unit, channel, cause.mirror.family, arrived)
        await entries.mark_dirty(unit, channel.id, sorted(dirty))
        await changes.note(unit, "entry", channel.id)
    applied.added, applied.updated = len(adds), len(changed)
    applied.conflicts = [row["filename"] for row in conflicts]
    return applied


def _conflict(
    cause: Cause, partition: str, one: Incoming, held: Held | None, bound: dict[str, set[bytes]], reason: str
) -> dict[str, Any]:
    here = held.sha256 if held is not None and held.sha256 else next(iter(bound.get(one.filename, ())), None)
    return {
        "mirror_id": cause.mirror.id,
        "partition": partition,
        "filename": one.filename,
        "held_sha256": here,
        "upstream_sha256": one.record.claimed_sha256,
        "reason": reason,
    }


def _row(
    unit: Unit, cause: Cause, channel: Channel, partition: str, one: Incoming, ids: dict[bytes, int], first: bool
) -> dict[str, Any]:
    return {
        "channel_id": channel.id,
        "family": cause.mirror.family,
        "partition": partition,
        "name": one.record.name,
        "filename": one.filename,
        "record_id": ids[one.record.sha256],
        "content_id": None,
        "mirror_id": cause.mirror.id,
        "uploaded": False,
        "source_url": one.source_url,
        "source_hash": one.source_hash,
        "first_seen_at": None if first else unit.now,
        "visible_at": unit.now,
        "event_id": cause.event_id,
    }


async def take_out(turn: Turn, leaving: Sequence[tuple[str, Known]]) -> None:
    """Remove entries, given with their partition, that still belong to the mirror; a frozen channel keeps them."""
    done = 0
    while done < len(leaving):
        part = leaving[done : done + turn.batch]
        done += len(part)
        turn.progress.current_step_percentage = 100 * done // len(leaving)

        async def work(unit: Unit, channel: Channel, part: Sequence[tuple[str, Known]] = part) -> int | None:
            removed = await take_out_batch(unit, Cause(turn.mirror, turn.progress.event_id), channel, part)
            if removed:
                await turn.job.got_further(unit)
            return removed

        removed = await turn.write(work, len(part))
        if removed is None:
            turn.counts.deferred += len(part)
        else:
            turn.counts.removed += removed


async def take_out_batch(unit: Unit, cause: Cause, channel: Channel, part: Sequence[tuple[str, Known]]) -> int | None:
    """Remove entries, given with their partition, that are the mirror's; return how many, None while frozen."""
    if channel.frozen_at is not None:
        return None
    mine = await holdings.still_mine(unit, cause.mirror.id, [known.id for _, known in part])
    await entries.remove(unit, sorted(mine), "mirror", False, cause.event_id)
    names = {(partition, known.name) for partition, known in part if known.id in mine}
    await judge_departures(unit, channel, {(cause.mirror.family, name) for _, name in names})
    await entries.mark_dirty(unit, channel.id, sorted(names))
    await store.drop_conflicts(unit, cause.mirror.id, [(partition, known.filename) for partition, known in part])
    if mine:
        await store.tell_neighbours(unit, channel.id, cause.mirror.id)
    await changes.note(unit, "entry", channel.id)
    return len(mine)
