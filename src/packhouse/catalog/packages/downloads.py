"""Queries of download counts, per file and per package."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from sqlalchemy import select

from packhouse.catalog.schema import package_total
from packhouse.core.db import Unit, any_of

_HOLD_TOTALS = (
    select(package_total.c.channel_id)
    .where(any_of(package_total.c.channel_id, "channels"))
    .order_by(package_total.c.channel_id)
    .with_for_update()
)
_TAKE = "INSERT INTO download_chunk (name, at) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING"
_FORGET = """DELETE FROM download_chunk WHERE name IN
 (SELECT name FROM download_chunk WHERE at < :before ORDER BY name LIMIT :limit)"""
_FORGET_ONE = "DELETE FROM download_chunk WHERE name = :name"
# From `entry`, so that a file removed in the meantime gets no row that nobody would ever remove.
_ADD = """INSERT INTO download (entry_id, channel_id, name, count)
 SELECT id, channel_id, name, :count FROM entry WHERE id = :entry_id
 ON CONFLICT (entry_id) DO UPDATE SET count = download.count + excluded.count"""
_ADD_TO_PACKAGE = """UPDATE package SET download_count = download_count + :count
 WHERE channel_id = :channel_id AND name = :name AND family = (SELECT family FROM entry WHERE id = :entry_id)"""


async def take_chunk(unit: Unit, name: str) -> bool:
    """Say that a chunk of counts is being added; False when it was added before and its file may still exist."""
    return await unit.execute(_TAKE, name=name, at=unit.now) > 0


async def forget_chunks(unit: Unit, names: Sequence[str]) -> None:
    """Forget chunks whose files are gone, so that they cannot be added again."""
    await unit.execute_many(_FORGET_ONE, [{"name": name} for name in names])


async def forget_old_chunks(unit: Unit, before: int, limit: int = 2000) -> int:
    """Forget at most `limit` chunks from before a time (µs), which killed processes left; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


async def hold_totals(unit: Unit, channels: Sequence[int]) -> None:
    """Take the sums of channels, which every change of a package changes too, before the first such change.

    Otherwise who holds the sums and waits for a package may meet who holds that package and waits for the sums.
    """
    await unit.fetch_all(_HOLD_TOTALS, channels=list(channels))


async def add(unit: Unit, rows: Sequence[tuple[int, int, str, int]]) -> None:
    """Add (entry id, channel id, package name, count) to the totals; what was removed in the meantime is left out.

    The sums of the channels are taken first, as a publish does, so that neither the two nor two of these deadlock.
    """
    await hold_totals(unit, sorted({row[1] for row in rows}))
    values = [dict(zip(("entry_id", "channel_id", "name", "count"), row, strict=True)) for row in rows]
    await unit.execute_many(_ADD, sorted(values, key=itemgetter("entry_id")))
    await unit.execute_many(_ADD_TO_PACKAGE, values)
