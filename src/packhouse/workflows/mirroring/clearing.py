"""Clears what a deleted mirror left, in batches: unfetched files go; fetched ones stay as if uploaded, unless asked."""

from __future__ import annotations

from collections.abc import Sequence

from packhouse.catalog import changes
from packhouse.catalog.mirrors import holdings, store
from packhouse.catalog.packages import entries
from packhouse.core.db import Row, Unit
from packhouse.workflows.services import Services

BATCH = 500


async def clear(services: Services, mirror_id: int) -> int:
    """Remove the entries of a mirror in state `deleting`; return how many left their channels.

    Copies of unfetched files in other channels go as well, since nothing can fetch them any more. May be called again
    after a crash, or twice at a time.
    """
    removed = 0
    touched: set[int] = set()
    while rows := await holdings.of_mirror(services.db, mirror_id, BATCH):

        async def work(unit: Unit, rows: Sequence[Row] = rows) -> int | None:
            return await _batch(unit, mirror_id, rows)

        gone = await services.db.write(work)
        if gone is None:
            return removed
        removed += gone
        touched |= {row[1] for row in rows}
    await services.db.write(lambda unit: _end(unit, mirror_id))
    for channel_id in sorted(touched):
        await services.publisher.publish(channel_id)
    return removed


async def _batch(unit: Unit, mirror_id: int, rows: Sequence[Row]) -> int | None:
    mirror = await store.by_id(unit, mirror_id)
    if mirror is None or mirror.state != "deleting":
        return None
    mine = await holdings.still_mine(unit, mirror_id, [row[0] for row in rows])
    leaving = [row for row in rows if row[0] in mine and (mirror.progress.purge or not row[4])]
    staying = sorted(mine - {row[0] for row in leaving})
    await entries.remove(unit, [row[0] for row in leaving], "mirror", False, mirror.progress.event_id)
    await holdings.let_go(unit, staying)
    for channel_id in sorted({row[1] for row in leaving}):
        names = sorted({(row[2], row[3]) for row in leaving if row[1] == channel_id})
        await entries.mark_dirty(unit, channel_id, names)
        await store.ask_full_run(unit, channel_id, but=mirror_id)
        await changes.note(unit, "entry", channel_id)
    return len(leaving)


async def _end(unit: Unit, mirror_id: int) -> None:
    mirror = await store.by_id(unit, mirror_id)
    if mirror is None or mirror.state != "deleting":
        return
    await store.drop_index(unit, mirror_id)
    keys = [(one.partition, one.filename) for one in await store.conflicts(unit, mirror_id)]
    await store.drop_conflicts(unit, mirror_id, keys)
    await store.set_state(unit, mirror_id, "deleted", mirror.progress)
