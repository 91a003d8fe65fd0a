"""Queries of what hides the files of a channel now, as the gate reads it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from packhouse.catalog.packages.hiding import HIDDEN_BY, HIDDEN_SINCE, HIDDEN_UNTIL, judged
from packhouse.catalog.schema import channel, entry
from packhouse.core.db import Database, any_of
from packhouse.core.db.base import Reader


class Hidden(NamedTuple):
    """What the gate says of a file. Times are microseconds."""

    record_id: int
    content_id: int  #: 0: not fetched
    rule: str | None  #: that hides it
    since: int | None
    until: int | None  #: when time alone ends that, or the waiver by which it is shown


_HERE = judged(entry.join(channel, channel.c.id == entry.c.channel_id))
_OF_NAMES = (
    select(entry.c.record_id, func.coalesce(entry.c.content_id, 0), HIDDEN_BY, HIDDEN_SINCE, HIDDEN_UNTIL)
    .select_from(_HERE)
    .where(
        entry.c.channel_id == bindparam("channel_id"),
        # as it stands SQLite would look through all files of the family, by the index of coordinates
        entry.c.family.concat("") == bindparam("family"),
        any_of(entry.c.name, "names"),
    )
)
_BY_RULE = (
    select(entry.c.family, HIDDEN_BY, func.count())
    .select_from(_HERE)
    .where(entry.c.channel_id == bindparam("channel_id"))
    .group_by(entry.c.family, HIDDEN_BY)
)


async def of_names(reader: Reader, channel_id: int, family: str, names: Collection[str]) -> list[Hidden]:
    """Return what the gate says of the files of packages in a channel."""
    rows = await reader.fetch_all(_OF_NAMES, channel_id=channel_id, family=family, names=list(names))
    return [Hidden(*row) for row in rows]


async def by_rule(db: Database, channel_id: int) -> list[tuple[str, str | None, int]]:
    """Return (family, rule or None, files) of a channel: how many each rule hides, and how many are shown."""
    return [(row[0], row[1], row[2]) for row in await db.fetch_large(_BY_RULE, channel_id=channel_id)]
