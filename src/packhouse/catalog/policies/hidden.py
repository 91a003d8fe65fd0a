"""Queries of what hides the files of a channel now, as the gate reads it."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import bindparam, func, select

from packhouse.catalog.packages.hiding import HIDDEN_BY, HIDDEN_SINCE, HIDDEN_UNTIL, SHOWN, judged
from packhouse.catalog.schema import channel, entry, package, record
from packhouse.core.db import Database, any_of
from packhouse.core.db.base import Reader


class Standing(msgspec.Struct, frozen=True, gc=False):  # many thousands, which are no work for the garbage collector
    """A file of a channel, and what the gate says of it. Times are microseconds."""

    record_id: int
    partition: str
    filename: str
    version: str
    build: str
    build_number: int
    rule: str | None  #: that hides it
    since: int | None
    until: int | None  #: when time alone ends that, or the waiver by which it is shown


_HERE = judged(entry.join(channel, channel.c.id == entry.c.channel_id))
_FILES = (
    select(
        entry.c.record_id, entry.c.partition, entry.c.filename, record.c.version, record.c.build,
        record.c.build_number, HIDDEN_BY, HIDDEN_SINCE, HIDDEN_UNTIL,
    )
    .select_from(_HERE.join(record, record.c.id == entry.c.record_id))
)  # fmt: skip
_STANDING = _FILES.where(entry.c.channel_id == bindparam("channel_id"))
_AT = _STANDING.where(
    entry.c.family == bindparam("family"),
    entry.c.partition == bindparam("partition"),
    any_of(entry.c.filename, "filenames"),
)
# as it stands SQLite would look through all files of the family, by the index of coordinates
_OF_FAMILY = entry.c.family.concat("") == bindparam("family")
_OF_PACKAGE = _STANDING.where(_OF_FAMILY, entry.c.name == bindparam("name"))
_SHOWN_IN = _OF_PACKAGE.where(entry.c.partition == bindparam("partition"), SHOWN)
# What the index says of a package is of its newest version that may be seen. Its files are found first, then judged.
_FILE, _RECORD = entry.alias("file"), record.alias("its")
# That they are of the channel is said of those alone: else SQLite would look through all of it for them.
_LATEST_IN = _FILES.where(
    entry.c.id.in_(
        select(_FILE.c.id)
        .join_from(_FILE, _RECORD, _RECORD.c.id == _FILE.c.record_id)
        .where(
            _FILE.c.channel_id == bindparam("channel_id"),
            _FILE.c.family.concat("") == bindparam("family"),
            _FILE.c.name == bindparam("name"),
            _FILE.c.partition == bindparam("partition"),
            _RECORD.c.version
            == select(package.c.latest_version)
            .where(
                package.c.channel_id == bindparam("channel_id"),
                package.c.name == bindparam("name"),
                package.c.family == bindparam("family"),
            )
            .scalar_subquery(),
        )
    ),
    SHOWN,
)
#: each found by one look into the index, however many files there are
_PARTITIONS = """WITH RECURSIVE place(partition) AS (
 SELECT min(partition) FROM entry WHERE channel_id = :channel_id AND name = :name UNION ALL
 SELECT (SELECT min(partition) FROM entry WHERE channel_id = :channel_id AND name = :name
 AND partition > place.partition) FROM place WHERE place.partition IS NOT NULL)
 SELECT partition FROM place WHERE partition IS NOT NULL"""
_BY_RULE = (
    select(entry.c.family, HIDDEN_BY, func.count())
    .select_from(_HERE)
    .where(entry.c.channel_id == bindparam("channel_id"))
    .group_by(entry.c.family, HIDDEN_BY)
)


async def partitions_of(reader: Reader, channel_id: int, name: str) -> list[str]:
    """Return where a channel has files of packages of a name, of whatever family."""
    return [row[0] for row in await reader.fetch_all(_PARTITIONS, channel_id=channel_id, name=name)]


async def at(
    reader: Reader, channel_id: int, family: str, partition: str, filenames: Collection[str]
) -> list[Standing]:
    """Return the files of these names in a partition of a channel."""
    asked = {"channel_id": channel_id, "family": family, "partition": partition}
    return [Standing(*row) for row in await reader.fetch_all(_AT, filenames=list(filenames), **asked)]


async def of_package(db: Database, channel_id: int, family: str, name: str) -> list[Standing]:
    """Return all files of a package in a channel. There may be many thousands."""
    return [
        Standing(*row) for row in await db.fetch_large(_OF_PACKAGE, channel_id=channel_id, family=family, name=name)
    ]


async def latest_in(db: Database, channel_id: int, family: str, name: str, partition: str) -> list[Standing]:
    """Return the files in a partition that may be seen, of the newest version of their package in the channel."""
    asked = {"channel_id": channel_id, "family": family, "name": name, "partition": partition}
    return [Standing(*row) for row in await db.fetch_large(_LATEST_IN, **asked)]


async def shown_in(db: Database, channel_id: int, family: str, name: str, partition: str) -> list[Standing]:
    """Return the files of a package in a partition that may be seen. There may be many thousands."""
    asked = {"channel_id": channel_id, "family": family, "name": name, "partition": partition}
    return [Standing(*row) for row in await db.fetch_large(_SHOWN_IN, **asked)]


async def by_rule(db: Database, channel_id: int) -> list[tuple[str, str | None, int]]:
    """Return (family, rule or None, files) of a channel: how many each rule hides, and how many are shown."""
    return [(row[0], row[1], row[2]) for row in await db.fetch_large(_BY_RULE, channel_id=channel_id)]
