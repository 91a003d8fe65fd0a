"""Copy, move and removal: metadata only, in batches, after the whole request was checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.workflows.judging.arriving import judge_arrivals, judge_departures
from packhouse.workflows.publishing.channels import hold_readable, hold_writable, writable
from packhouse.workflows.publishing.selection import Item, select_entries
from packhouse.workflows.services import Services

#: rows per transaction; each costs a few statements
BATCH = 200

Batch = Sequence[entries.Selected]


async def remove(services: Services, channel: Channel, actor: str, items: list[Item]) -> int:
    """Take files out of a channel; return how many. Their coordinates stay bound to their bytes for ever.

    Raises PackhouseError: `not_found`, `channel_frozen`; then nothing is removed.
    """
    chosen = await select_entries(services.db, channel, items, hidden=True)
    await writable(services.db, channel.id)

    async def step(unit: Unit, batch: Batch, event_id: int | None) -> tuple[int, int | None]:
        here = await hold_writable(unit, channel.id)
        there = await _still_there(unit, batch)
        if there:
            event_id = event_id or await _event(unit, "artifact_removed", actor, here, chosen)
            await _take_out(unit, here, there, event_id)
        return len(there), event_id

    return await _in_batches(services, chosen, step, channel)


async def copy(
    services: Services,
    source: Channel,
    target: Channel,
    actor: str,
    items: list[Item],
    *,
    move: bool = False,
    hidden: bool = False,
) -> int:
    """Show files of one channel in another too (or instead, with `move`); return how many changed their place.

    No byte is copied; a file that a mirror has not fetched yet keeps where it can be had. What is hidden in the source
    is as if it were not there, but with `hidden`, for who manages it: else a reader would see it in the target.
    Raises PackhouseError: `not_found`, `channel_frozen`, `different_content` when the target knows a coordinate with
    other bytes, or with bytes that cannot be shown to be the same.
    """
    if source.id == target.id:
        raise PackhouseError("bad_request", "Source and target are the same channel.", "Name another target.")
    asked = await select_entries(services.db, source, items, hidden=hidden)
    new = [row for row in asked if _is_new(row, await _standing(services.db, target, row))]
    chosen = asked if move else new

    async def step(unit: Unit, batch: Batch, event_id: int | None) -> tuple[int, int | None]:
        # several channels are held in ascending id
        hold = {target.id: hold_writable, source.id: hold_writable if move else hold_readable}
        found = {number: await hold[number](unit, number) for number in sorted(hold)}
        here, there = found[source.id], found[target.id]
        rows = await _still_there(unit, batch)
        new = await _bound_here(unit, there, rows)
        changed = rows if move else new
        if changed:
            kind = "artifact_moved" if move else "artifact_copied"
            event_id = event_id or await _event(unit, kind, actor, there, chosen, here)
            await _put_in(unit, there, new, event_id)
            if move:
                await _take_out(unit, here, rows, event_id)
        return len(changed), event_id

    return await _in_batches(services, chosen, step, target, *([source] if move else []))


Step = Callable[[Unit, Batch, int | None], Awaitable[tuple[int, int | None]]]


async def _in_batches(services: Services, chosen: Batch, step: Step, *changed: Channel) -> int:
    """Do `step` for all rows under one event; what is done when it fails in between is published all the same."""
    done, event_id = 0, None
    try:
        for start in range(0, len(chosen), BATCH):
            batch = chosen[start : start + BATCH]

            async def work(unit: Unit, batch: Batch = batch, known: int | None = event_id) -> tuple[int, int | None]:
                return await step(unit, batch, known)

            count, event_id = await services.db.write(work)
            done += count
    finally:
        for channel in changed:
            await services.publisher.publish(channel.id)
    return done


async def _still_there(unit: Unit, batch: Batch) -> Batch:
    """Return the rows that nobody removed meanwhile, locked."""
    left = await entries.lock(unit, [row.id for row in batch])
    return [row for row in batch if row.id in left]


async def _standing(reader: Reader, target: Channel, row: entries.Selected) -> entries.Entry | None:
    """Return what the target shows there already. Raises `different_content` when it may not be this file."""
    taken: set[bytes | None] = set(await entries.bound_to(reader, target.id, target.path, row.coordinate))
    held = await entries.find(reader, target.id, row.family, row.partition, row.filename)
    if held is not None:
        taken.add(held.sha256)
    if taken and (row.sha256 is None or taken != {row.sha256}):
        raise PackhouseError(
            "different_content",
            f"{target.path}/{row.coordinate.ckey} names other bytes already, or bytes nobody has seen yet.",
            "Leave it out, or choose another channel.",
        )
    return held


def _is_new(row: entries.Selected, held: entries.Entry | None) -> bool:
    """Return whether the target does not show this file yet, or only as long as a mirror says so.

    Such a file becomes the target's own, as with an upload: after a move it may stand nowhere else.
    """
    return held is None or (row.content_id is not None and not (held.active and held.mirror_id is None))


New = Sequence[tuple[entries.Selected, entries.Entry | None]]


async def _bound_here(unit: Unit, target: Channel, batch: Batch) -> New:
    """Bind the coordinates of files we hold the bytes of; return the new files, each beside what stands there."""
    new = []
    for row in batch:
        if row.content_id is not None and row.sha256 is not None:
            await entries.bind(unit, target.id, row.coordinate, row.sha256)
        held = await _standing(unit, target, row)
        if _is_new(row, held):
            new.append((row, held))
    return new


async def _put_in(unit: Unit, target: Channel, new: New, event_id: int) -> None:
    for row, held in new:
        await entries.forgive(unit, target.id, row.coordinate)
        if held is not None and row.content_id is not None:
            shown = held.record_id if held.active else row.record_id
            at = row.coordinate
            await entries.adopt(unit, target.id, at, shown, row.content_id, event_id, uploaded=row.uploaded)
    await entries.copy_rows(unit, [row.id for row, held in new if held is None], target.id, event_id)
    arrived: dict[str, list[int]] = {}
    for row, held in new:  # what a mirror shows here already stays what it says
        record_id = held.record_id if held is not None and held.active else row.record_id
        arrived.setdefault(row.family, []).append(record_id)
    for family, record_ids in sorted(arrived.items()):
        await judge_arrivals(unit, target, family, record_ids)
    await entries.mark_dirty(unit, target.id, _names([row for row, _ in new]))
    await changes.note(unit, "entry", target.id)


async def _take_out(unit: Unit, channel: Channel, batch: Batch, event_id: int) -> None:
    await entries.remove(unit, [row.id for row in batch], "removal", True, event_id)
    await judge_departures(unit, channel, {(row.family, row.name) for row in batch})
    await entries.mark_dirty(unit, channel.id, _names(batch))
    await changes.note(unit, "entry", channel.id)


def _names(batch: Batch) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.partition, row.name) for row in batch))


async def _event(
    unit: Unit, kind: str, actor: str, channel: Channel, chosen: Batch, source: Channel | None = None
) -> int:
    """Write the one event of the request. A single file is named, several are counted.

    A move is in the history of both channels, a copy changes nothing in its `source`.
    """
    first = chosen[0]
    one = len(chosen) == 1
    moved = kind == "artifact_moved"
    return await record_event(
        unit,
        type=kind,
        actor=actor,
        object=f"{channel.path}/{first.coordinate.ckey}" if one else channel.path,
        channel_id=channel.id,
        source_id=source.id if source and moved else None,
        data={
            "files": len(chosen),
            "names": sorted({row.name for row in chosen})[:100],
            **({"ckey": first.coordinate.ckey, "artifact_family": first.family} if one else {}),
            **({"from": source.path} if source else {}),
            **({"to": channel.path} if moved else {}),
        },
    )
