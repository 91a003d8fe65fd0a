"""Queries of the published index: dirty names, parts, the shelf, revisions."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from packhouse.catalog.packages.entries import HIDDEN
from packhouse.catalog.schema import (
    channel,
    content,
    dirty,
    entry,
    head,
    part,
    record,
    record_body,
    revision,
    shelf,
    verdict,
)
from packhouse.core.db import Database, Unit, any_of
from packhouse.core.db.base import Reader

_HEAD = select(head.c.revision).where(head.c.channel_id == bindparam("channel_id"))
_LOCK_HEAD = _HEAD.with_for_update()
_SET_HEAD = update(head).where(head.c.channel_id == bindparam("channel")).values(revision=bindparam("number"))
_ADD_REVISION = insert(revision).values(
    channel_id=bindparam("channel_id"), number=bindparam("number"), committed_at=bindparam("at")
)
_COMMITTED_AT = select(revision.c.committed_at).where(
    revision.c.channel_id == bindparam("channel_id"), revision.c.number == bindparam("number")
)

_DIRTY = (
    select(dirty.c.id, dirty.c.partition, dirty.c.name)
    .where(dirty.c.channel_id == bindparam("channel_id"))
    .order_by(dirty.c.name, dirty.c.partition)  # as the index has them: no batch sorts all that wait
    .limit(bindparam("limit"))
)
# By the very rows that were read: on PostgreSQL a smaller number may become visible later, and must stay.
_CLEAN = delete(dirty).where(any_of(dirty.c.id, "ids"))
_DIRTY_CHANNELS = select(dirty.c.channel_id).distinct()

#: everything a part is rendered from: the visible entries of one name in one partition
_ALL_ROWS = (
    select(
        entry.c.filename,
        entry.c.family,
        entry.c.visible_at,
        record_body.c.json,
        record_body.c.msgpack,
        record_body.c.signatures,
    )
    .select_from(
        entry.join(channel, channel.c.id == entry.c.channel_id)
        .join(record_body, record_body.c.record_id == entry.c.record_id)
        .outerjoin(verdict, HIDDEN)
    )
    .where(entry.c.channel_id == bindparam("channel_id"), verdict.c.rule.is_(None))
    .order_by(entry.c.filename)
)
_ROWS = _ALL_ROWS.where(entry.c.name == bindparam("name"), entry.c.partition == bindparam("partition"))
_BETWEEN = and_(entry.c.name > bindparam("after"), entry.c.name <= bindparam("until"))
_ROWS_BETWEEN = _ALL_ROWS.add_columns(entry.c.partition, entry.c.name).where(_BETWEEN)
# In a fixed order, so that of equals the same one stands for the package every time.
_ALL_VISIBLE = (
    select(
        entry.c.family,
        entry.c.partition,
        record.c.version,
        record.c.build_number,
        record.c.license,
        record.c.license_family,
        record.c.timestamp,
        entry.c.visible_at,
        entry.c.content_id,
        entry.c.record_id,
    )
    .select_from(
        entry.join(channel, channel.c.id == entry.c.channel_id)
        .join(record, record.c.id == entry.c.record_id)
        .outerjoin(verdict, HIDDEN)
    )
    .where(entry.c.channel_id == bindparam("channel_id"), verdict.c.rule.is_(None))
    .order_by(entry.c.partition, entry.c.filename)
)
_VISIBLE = _ALL_VISIBLE.where(entry.c.name == bindparam("name"))
_VISIBLE_BETWEEN = _ALL_VISIBLE.add_columns(entry.c.name).where(_BETWEEN)
_RECORDS = select(record_body.c.record_id, record_body.c.json).where(any_of(record_body.c.record_id, "ids"))
_PART_ID = select(part.c.id).where(part.c.sha256 == bindparam("sha256"))
_ADD_PART = """INSERT INTO part (sha256, shard, shard_sha256, fragment)
 VALUES (:sha256, :shard, :shard_sha256, :fragment) ON CONFLICT (sha256) DO NOTHING RETURNING id"""

_OPEN = select(shelf.c.from_rev, shelf.c.part_id).where(
    shelf.c.channel_id == bindparam("channel_id"),
    shelf.c.partition == bindparam("partition"),
    shelf.c.name == bindparam("name"),
    shelf.c.to_rev.is_(None),
)
_CLOSE = (
    update(shelf)
    .where(
        shelf.c.channel_id == bindparam("channel"),
        shelf.c.partition == bindparam("in_partition"),
        shelf.c.name == bindparam("of_name"),
        shelf.c.to_rev.is_(None),
        shelf.c.from_rev < bindparam("number"),
    )
    .values(to_rev=bindparam("number"))
)
_PUT = """INSERT INTO shelf (channel_id, partition, name, from_rev, part_id)
 VALUES (:channel_id, :partition, :name, :number, :part_id)
 ON CONFLICT (channel_id, partition, name, from_rev) DO UPDATE SET part_id = excluded.part_id, to_rev = NULL"""

# `+ 0` keeps a planner without statistics from an index over every revision of every partition.
_AT = and_(
    shelf.c.channel_id == bindparam("channel_id"),
    shelf.c.partition == bindparam("partition"),
    shelf.c.from_rev + 0 <= bindparam("number"),
    or_(shelf.c.to_rev.is_(None), shelf.c.to_rev > bindparam("number")),
    shelf.c.part_id.is_not(None),
)
_SHARDS = select(shelf.c.name, part.c.shard_sha256).join_from(shelf, part, part.c.id == shelf.c.part_id).where(_AT)
_SHARD_CHANGES = (
    select(shelf.c.from_rev, revision.c.committed_at, shelf.c.partition, shelf.c.name, part.c.shard_sha256)
    .select_from(
        shelf.join(
            revision, and_(revision.c.channel_id == shelf.c.channel_id, revision.c.number == shelf.c.from_rev)
        ).outerjoin(part, part.c.id == shelf.c.part_id)
    )
    .where(
        shelf.c.channel_id == bindparam("channel_id"),
        shelf.c.from_rev > bindparam("after"),
        shelf.c.from_rev <= bindparam("number"),
    )
    .order_by(shelf.c.from_rev)
)
_LAST_CHANGE = select(func.max(shelf.c.from_rev)).where(
    shelf.c.channel_id == bindparam("channel_id"),
    shelf.c.partition == bindparam("partition"),
    shelf.c.from_rev <= bindparam("number"),
)
_FRAGMENTS = (
    select(part.c.fragment).join_from(shelf, part, part.c.id == shelf.c.part_id).where(_AT).order_by(shelf.c.name)
)
_PARTITIONS = (
    select(shelf.c.partition)
    .where(
        shelf.c.channel_id == bindparam("channel_id"),
        shelf.c.from_rev <= bindparam("number"),
        or_(shelf.c.to_rev.is_(None), shelf.c.to_rev > bindparam("number")),
        shelf.c.part_id.is_not(None),
    )
    .distinct()
)
_SHARD = (
    select(part.c.shard)
    .join_from(part, shelf, shelf.c.part_id == part.c.id)
    .join(head, and_(head.c.channel_id == shelf.c.channel_id, head.c.revision >= shelf.c.from_rev))  # not if staged
    .outerjoin(revision, and_(revision.c.channel_id == shelf.c.channel_id, revision.c.number == shelf.c.to_rev))
    .where(
        part.c.shard_sha256 == bindparam("shard_sha256"),
        shelf.c.channel_id + 0 == bindparam("channel_id"),  # begin at the part: only few channels show the same
        shelf.c.partition == bindparam("partition"),
        or_(shelf.c.to_rev.is_(None), revision.c.committed_at.is_(None), revision.c.committed_at > bindparam("since")),
    )
    .limit(1)
)
_RUN_EXPORTS = (
    select(entry.c.filename, content.c.facts)
    .select_from(
        entry.join(channel, channel.c.id == entry.c.channel_id)
        .join(content, content.c.id == entry.c.content_id)
        .outerjoin(verdict, HIDDEN)
    )
    .where(
        entry.c.channel_id == bindparam("channel_id"),
        entry.c.partition == bindparam("partition"),
        verdict.c.rule.is_(None),
    )
    .order_by(entry.c.filename)
)


class IndexRow(NamedTuple):
    """One visible entry as a part is rendered from it."""

    filename: str
    family: str
    visible_at: int
    json: bytes
    msgpack: bytes
    signatures: str | None


class VisibleFile(NamedTuple):
    """One visible file, with what summaries are made of. Times are microseconds."""

    family: str
    partition: str
    version: str
    build_number: int
    license: str
    license_family: str
    timestamp: int | None
    visible_at: int
    content_id: int | None
    record_id: int


class Part(NamedTuple):
    """One rendered name of one partition. `sha256` is of the uncompressed bytes: its identity."""

    sha256: bytes
    shard: bytes
    shard_sha256: bytes
    fragment: bytes


async def head_of(reader: Reader, channel_id: int) -> int:
    """Return the latest revision of a channel; 0 before the first."""
    return int(await reader.fetch_value(_HEAD, channel_id=channel_id) or 0)


async def lock_head(unit: Unit, channel_id: int) -> int | None:
    """Take the publish lock and return the latest revision; None when the channel is gone."""
    row = await unit.fetch_one(_LOCK_HEAD, channel_id=channel_id)
    return None if row is None else int(row[0])


async def advance(unit: Unit, channel_id: int, number: int) -> None:
    """Make `number` the latest revision, committed later than the one before."""
    before = await committed_at(unit, channel_id, number - 1)
    # `now` was read before the publish lock was waited for, so whoever held it may have a later one.
    at = unit.now if before is None else max(unit.now, before + 1)
    await unit.execute(_ADD_REVISION, channel_id=channel_id, number=number, at=at)
    await unit.execute(_SET_HEAD, channel=channel_id, number=number)


async def committed_at(reader: Reader, channel_id: int, number: int) -> int | None:
    """Return when a revision was committed."""
    value = await reader.fetch_value(_COMMITTED_AT, channel_id=channel_id, number=number)
    return None if value is None else int(value)


async def dirty_names(reader: Reader, channel_id: int, limit: int) -> list[tuple[int, str, str]]:
    """Return (id, partition, name) that wait for publishing, in the order of their names."""
    return [(row[0], row[1], row[2]) for row in await reader.fetch_all(_DIRTY, channel_id=channel_id, limit=limit)]


async def dirty_channels(reader: Reader) -> list[int]:
    """Return the channels with names that wait for publishing."""
    return [row[0] for row in await reader.fetch_all(_DIRTY_CHANNELS)]


async def clean(unit: Unit, ids: list[int]) -> None:
    """Forget these rows of dirty names."""
    await unit.execute(_CLEAN, ids=ids)


async def rows_of(reader: Reader, channel_id: int, partition: str, name: str) -> list[IndexRow]:
    """Return the visible entries of a name, by file name."""
    rows = await reader.fetch_all(_ROWS, channel_id=channel_id, partition=partition, name=name)
    return [IndexRow(*row) for row in rows]


async def rows_between(db: Database, channel_id: int, after: str, until: str) -> list[tuple[str, str, IndexRow]]:
    """Return (partition, name, visible entry) of the names above `after` up to `until`, by file name."""
    rows = await db.fetch_large(_ROWS_BETWEEN, channel_id=channel_id, after=after, until=until)
    return [(row[6], row[7], IndexRow(*row[:6])) for row in rows]


async def visible_files(reader: Reader, channel_id: int, name: str) -> list[VisibleFile]:
    """Return the visible files of a name, by partition and file name."""
    return [VisibleFile(*row) for row in await reader.fetch_all(_VISIBLE, channel_id=channel_id, name=name)]


async def visible_between(db: Database, channel_id: int, after: str, until: str) -> list[tuple[str, VisibleFile]]:
    """Return (name, visible file) of the names above `after` up to `until`, by partition and file name."""
    rows = await db.fetch_large(_VISIBLE_BETWEEN, channel_id=channel_id, after=after, until=until)
    return [(row[10], VisibleFile(*row[:10])) for row in rows]


async def records_of(reader: Reader, ids: list[int]) -> dict[int, bytes]:
    """Return record id → its canonical JSON."""
    return {row[0]: row[1] for row in await reader.fetch_all(_RECORDS, ids=ids)}


async def add_part(unit: Unit, rendered: Part) -> int:
    """Keep a part, unless the same was rendered before; return its id."""
    added = await unit.fetch_value(_ADD_PART, **rendered._asdict())
    return int(added if added is not None else await unit.fetch_value(_PART_ID, sha256=rendered.sha256))


async def open_part(unit: Unit, channel_id: int, partition: str, name: str) -> tuple[int, int | None] | None:
    """Return (from_rev, part id) of what the shelf shows of a name, or None if it never showed any."""
    row = await unit.fetch_one(_OPEN, channel_id=channel_id, partition=partition, name=name)
    return (row[0], row[1]) if row else None


async def put(
    unit: Unit, channel_id: int, partition: str, name: str, number: int, to: int | None, *, first: bool
) -> None:
    """From revision `number` on the shelf shows part `to` for this name (None: nothing); `first`: it never had one."""
    if not first:
        await unit.execute(_CLOSE, channel=channel_id, in_partition=partition, of_name=name, number=number)
    await unit.execute(_PUT, channel_id=channel_id, partition=partition, name=name, number=number, part_id=to)


async def shards_at(reader: Reader, channel_id: int, partition: str, number: int) -> dict[str, bytes]:
    """Return name → SHA-256 of its shard at a revision."""
    rows = await reader.fetch_all(_SHARDS, channel_id=channel_id, partition=partition, number=number)
    return {name: bytes(sha256) for name, sha256 in rows}


async def shard_changes(
    reader: Reader, channel_id: int, after: int, number: int
) -> list[tuple[int, int, str, str, bytes | None]]:
    """Return (revision, its commit time, partition, name, shard SHA-256 or None) of the changes above `after` up to
    `number`, oldest first.
    """
    rows = await reader.fetch_all(_SHARD_CHANGES, channel_id=channel_id, after=after, number=number)
    return [(*row[:4], None if row[4] is None else bytes(row[4])) for row in rows]


async def last_change(reader: Reader, channel_id: int, partition: str, number: int) -> int | None:
    """Return the latest revision up to `number` that changed a partition; None if it never showed anything."""
    value = await reader.fetch_value(_LAST_CHANGE, channel_id=channel_id, partition=partition, number=number)
    return None if value is None else int(value)


async def fragments_at(db: Database, channel_id: int, partition: str, number: int) -> list[bytes]:
    """Return the compressed JSON fragments of a partition at a revision, by name."""
    rows = await db.fetch_large(_FRAGMENTS, channel_id=channel_id, partition=partition, number=number)
    return [row[0] for row in rows]


async def partitions_at(reader: Reader, channel_id: int, number: int) -> set[str]:
    """Return the partitions that show anything at a revision."""
    return {row[0] for row in await reader.fetch_all(_PARTITIONS, channel_id=channel_id, number=number)}


async def shard(reader: Reader, channel_id: int, partition: str, shard_sha256: bytes, since: int) -> bytes | None:
    """Return a shard that this channel shows, or showed after `since`."""
    value = await reader.fetch_value(
        _SHARD, channel_id=channel_id, partition=partition, shard_sha256=shard_sha256, since=since
    )
    return None if value is None else bytes(value)


async def facts_of_partition(db: Database, channel_id: int, partition: str) -> list[tuple[str, str]]:
    """Return (filename, facts JSON) of the visible files we hold, by file name."""
    rows = await db.fetch_large(_RUN_EXPORTS, channel_id=channel_id, partition=partition)
    return [(row[0], row[1]) for row in rows]
