"""Clears what a deleted mirror left, in batches: unfetched files go; fetched ones stay as if uploaded, unless asked.

What stands in a frozen channel waits, and is still fetched when asked for, until that channel is unfrozen.
"""

from __future__ import annotations

from collections.abc import Sequence

from packhouse.catalog import changes
from packhouse.catalog.channels import store as channels
from packhouse.catalog.mirrors import holdings, origins, pages, store
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.packages import entries
from packhouse.core.clock import monotonic
from packhouse.core.db import Row, Unit
from packhouse.workflows.judging.arriving import judge_departures
from packhouse.workflows.services import Services

BATCH = 500
#: how long one round goes on, in seconds: a request waits for it, and so do the schedules of the other mirrors
ROUND_SECONDS = 0.5


async def clear(services: Services, mirror_id: int) -> None:
    """Do one round of removing the entries of a mirror in state `deleting`; the last one makes it `deleted`.

    Copies in other channels do not belong to the mirror and stay, and unfetched ones keep its source as their origin.
    May be called again after a crash, or twice at a time.
    """
    touched: set[int] = set()
    deadline = monotonic() + ROUND_SECONDS
    while rows := await holdings.to_clear(services.db, mirror_id, BATCH):

        async def work(unit: Unit, rows: Sequence[Row] = rows) -> bool:
            return await _batch(unit, mirror_id, rows)

        if not await services.db.write(work):
            break
        touched |= {row[1] for row in rows}
        if monotonic() > deadline:
            break
    else:
        await services.db.write(lambda unit: _end(unit, mirror_id))
    for channel_id in sorted(touched):
        await services.publisher.publish(channel_id)


async def _batch(unit: Unit, mirror_id: int, rows: Sequence[Row]) -> bool:
    mirror = await store.by_id(unit, mirror_id)
    if mirror is None or mirror.state != "deleting":
        return False
    mine = await holdings.still_mine(unit, mirror_id, [row[0] for row in rows])
    for channel_id in sorted({row[1] for row in rows}):
        await _in_channel(unit, mirror, channel_id, [row for row in rows if row[0] in mine and row[1] == channel_id])
    return True


async def _in_channel(unit: Unit, mirror: Mirror, channel_id: int, rows: Sequence[Row]) -> None:
    channel = await channels.hold(unit, channel_id)
    if channel is not None and channel.frozen_at is not None:
        return  # since it was asked for
    leaving = [row for row in rows if mirror.progress.purge or not row[4]]
    gone = {row[0] for row in leaving}
    await entries.remove(unit, sorted(gone), "mirror", False, mirror.progress.event_id)
    await holdings.let_go(unit, [row[0] for row in rows if row[0] not in gone])
    if channel is not None and leaving:  # of a channel that is being cleared itself nothing is published
        await judge_departures(unit, channel, {(mirror.family, row[3]) for row in leaving})
        await entries.mark_dirty(unit, channel_id, sorted({(row[2], row[3]) for row in leaving}))
        await store.tell_neighbours(unit, channel_id, mirror.id)
        await changes.note(unit, "entry", channel_id)


async def _end(unit: Unit, mirror_id: int) -> None:
    mirror = await store.by_id(unit, mirror_id)
    if mirror is None or mirror.state != "deleting" or await holdings.has_any(unit, mirror_id):
        return
    await origins.part(unit, mirror)
    await store.forget_credential(unit, mirror_id)
    await store.drop_index(unit, mirror_id)
    await pages.drop(unit, mirror_id)
    keys = [(one.partition, one.filename) for one in await store.conflicts(unit, mirror_id)]
    await store.drop_conflicts(unit, mirror_id, keys)
    await store.set_state(unit, mirror_id, "deleted", mirror.progress)
