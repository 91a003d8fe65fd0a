"""Copy, move and removal: metadata only, in batches, all or nothing as far as the request can be checked beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import entries
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.workflows.publishing.channels import writable
from packhouse.workflows.publishing.selection import Item, select_entries
from packhouse.workflows.services import Services

#: rows per transaction (design 1.10)
BATCH = 1000


async def remove(services: Services, channel: Channel, actor: str, items: list[Item]) -> int:
    """Take files out of a channel; return how many. Their coordinates stay bound to their bytes for ever.

    Raises PackhouseError: `not_found`, `channel_frozen`; then nothing is removed.
    """
    chosen = await select_entries(services.db, channel, items)
    event_id: int | None = None
    for batch in _batches(chosen):

        async def work(unit: Unit, batch: Sequence[entries.Selected] = batch, event: int | None = event_id) -> int:
            here = await writable(unit, channel.id)
            event = event or await _event(unit, "artifact_removed", actor, here, chosen, {})
            await _take_out(unit, here, batch, event)
            return event

        event_id = await services.db.write(work)
    await services.publisher.publish(channel.id)
    return len(chosen)


async def copy(
    services: Services, source: Channel, target: Channel, actor: str, items: list[Item], *, move: bool = False
) -> int:
    """Show files of one channel in another too (or instead, with `move`); return how many.

    No byte is copied; a file that a mirror has not fetched yet keeps where it can be had. Raises PackhouseError:
    `not_found`, `channel_frozen`, `different_content` when the target knows a coordinate with other bytes.
    """
    if source.id == target.id:
        raise PackhouseError("bad_request", "Source and target are the same channel.", "Name another target.")
    chosen = await select_entries(services.db, source, items)
    await _check_target(services, target, chosen)
    event_id: int | None = None
    for batch in _batches(chosen):

        async def work(unit: Unit, batch: Sequence[entries.Selected] = batch, event: int | None = event_id) -> int:
            # several channels are locked in ascending id (design 1.10)
            found = {number: await writable(unit, number) for number in sorted({source.id, target.id})}
            here, there = found[source.id], found[target.id]
            kind = "artifact_moved" if move else "artifact_copied"
            event = event or await _event(unit, kind, actor, there, chosen, {"from": here.path})
            await _put_in(unit, there, batch, event)
            if move:
                await _take_out(unit, here, batch, event)
            return event

        event_id = await services.db.write(work)
    await services.publisher.publish(target.id)
    if move:
        await services.publisher.publish(source.id)
    return len(chosen)


def _batches(chosen: Sequence[entries.Selected]) -> list[Sequence[entries.Selected]]:
    return [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]


async def _check_target(services: Services, target: Channel, chosen: Sequence[entries.Selected]) -> None:
    for row in chosen:
        await _check_one(services.db, target, row)


async def _check_one(reader: Reader, target: Channel, row: entries.Selected) -> None:
    bound = await entries.bound_to(reader, target.id, target.path, row.coordinate)
    held = await entries.find(reader, target.id, row.family, row.partition, row.filename)
    promised = {held.sha256} if held and held.sha256 else set()
    if row.sha256 is not None and (bound | promised) - {row.sha256}:
        raise PackhouseError(
            "different_content",
            f"{target.path}/{row.coordinate.ckey} already names other bytes, and a file never changes.",
            "Leave it out, or copy to another channel.",
        )


async def _put_in(unit: Unit, target: Channel, batch: Sequence[entries.Selected], event_id: int) -> None:
    for row in batch:
        if row.content_id is not None and row.sha256 is not None:
            await entries.bind(unit, target.id, row.coordinate, row.sha256)
        await _check_one(unit, target, row)
        await entries.forgive(unit, target.id, row.coordinate)
    await entries.copy_rows(unit, [row.id for row in batch], target.id, event_id)
    await entries.mark_dirty(unit, target.id, _names(batch))
    await changes.note(unit, "entry", target.id)


async def _take_out(unit: Unit, channel: Channel, batch: Sequence[entries.Selected], event_id: int) -> None:
    await entries.remove(unit, [row.id for row in batch], "removal", True, event_id)
    await entries.mark_dirty(unit, channel.id, _names(batch))
    await changes.note(unit, "entry", channel.id)


def _names(batch: Sequence[entries.Selected]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.partition, row.name) for row in batch))


async def _event(
    unit: Unit, kind: str, actor: str, channel: Channel, chosen: Sequence[entries.Selected], data: dict[str, str]
) -> int:
    """Write the one event of the request. A single file is named, several are counted."""
    first = chosen[0]
    one = len(chosen) == 1
    return await record_event(
        unit,
        type=kind,
        actor=actor,
        object=f"{channel.path}/{first.coordinate.ckey}" if one else channel.path,
        channel_id=channel.id,
        data={
            "files": len(chosen),
            "names": sorted({row.name for row in chosen})[:100],
            **({"ckey": first.coordinate.ckey, "artifact_family": first.family} if one else {}),
            **data,
        },
    )
