"""Queries of what readers see across nouns, for what is told of vulnerabilities."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, func, select

from packhouse.catalog.packages.hiding import SHOWN, judged
from packhouse.catalog.schema import channel, entry
from packhouse.core.db import any_of
from packhouse.core.db.base import Reader

_SHOWN = (
    select(entry.c.record_id, func.coalesce(entry.c.content_id, 0))
    .select_from(judged(entry.join(channel, channel.c.id == entry.c.channel_id)))
    .where(
        entry.c.channel_id == bindparam("channel_id"),
        entry.c.family == bindparam("family"),
        any_of(entry.c.name, "names"),
        SHOWN,
    )
)


async def shown(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> set[tuple[int, int]]:
    """Return (record, content) of the files of packages that readers of a channel see; content 0: not fetched."""
    rows = await reader.fetch_all(_SHOWN, channel_id=channel_id, family=family, names=list(names))
    return {(row[0], row[1]) for row in rows}
