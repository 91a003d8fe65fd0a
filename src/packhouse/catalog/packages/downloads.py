"""Queries of download counts, per file and per package."""

from __future__ import annotations

from collections.abc import Sequence

from packhouse.core.clock import DAY
from packhouse.core.db import Unit

_TAKE = "INSERT INTO download_chunk (name, at) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING"
_FORGET = "DELETE FROM download_chunk WHERE at < :before"
_ADD = """INSERT INTO download (entry_id, channel_id, name, count) VALUES (:entry_id, :channel_id, :name, :count)
 ON CONFLICT (entry_id) DO UPDATE SET count = download.count + excluded.count"""
_ADD_TO_PACKAGE = """UPDATE package SET download_count = download_count + :count
 WHERE channel_id = :channel_id AND name = :name"""


async def take_chunk(unit: Unit, name: str) -> bool:
    """Say that a chunk of counts is being added; False when it was added before."""
    await unit.execute(_FORGET, before=unit.now - DAY)
    return await unit.execute(_TAKE, name=name, at=unit.now) > 0


async def add(unit: Unit, rows: Sequence[tuple[int, int, str, int]]) -> None:
    """Add (entry id, channel id, package name, count) to the totals."""
    values = [dict(zip(("entry_id", "channel_id", "name", "count"), row, strict=True)) for row in sorted(rows)]
    await unit.execute_many(_ADD, values)
    await unit.execute_many(_ADD_TO_PACKAGE, [{k: v for k, v in row.items() if k != "entry_id"} for row in values])
