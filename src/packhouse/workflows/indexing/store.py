"""Queries of the published index: dirty names, parts, the shelf, revisions."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from packhouse.catalog.packages.hiding import SHOWN, judged
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
)
from packhouse.core.db import Database, Row, Unit, any_of
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
_DIRTY_CHANNELS = (
    select(dirty.c.channel_id)
    .distinct()
    .join_from(dirty, channel, channel.c.id == dirty.c.channel_id)
    .where(channel.c.frozen_at.is_(None))
)
_DIRTY_BEYOND = (
    select(dirty.c.id).where(dirty.c.channel_id == bindparam("channel_id")).offset(bindparam("number")).limit(1)
)
_NAMES_WAITING = (
    select(dirty.c.name)
    .distinct()
    .where(dirty.c.channel_id == bindparam("channel_id"), dirty.c.name > bindparam("after"))
    .order_by(dirty.c.name)
    .limit(bindparam("limit"))
)
_DIRTY_OF = select(dirty.c.id, dirty.c.partition, dirty.c.name).where(
    dirty.c.channel_id == bindparam("channel_id"), any_of(dirty.c.name, "names")
)

#: everything parts and package rows are made from: the visible files of names, with their bodies in some partitions
_FILES = (
    select(
        entry.c.family,
        entry.c.partition,
        entry.c.name,
        entry.c.filename,
        record.c.version,
        record.c.build_number,
        record.c.license,
        record.c.license_family,
        record.c.timestamp,
        entry.c.visible_at,
        entry.c.content_id,
        entry.c.record_id,
        record_body.c.json,
        record_body.c.packed,
        record_body.c.signatures,
    )
    .select_from(
        judged(
            entry.join(channel, channel.c.id == entry.c.channel_id).join(record, record.c.id == entry.c.record_id)
        ).outerjoin(
            record_body, and_(record_body.c.record_id == entry.c.record_id, any_of(entry.c.partition, "partitions"))
        )
    )
    .where(entry.c.channel_id == bindparam("channel_id"), any_of(entry.c.name, "names"), SHOWN)
)
_ROWS = _FILES.where(any_of(entry.c.partition, "partitions"))
_RECORDS = select(record_body.c.record_id, record_body.c.json).where(any_of(record_body.c.record_id, "ids"))
# One that is there is written again, so that the sweep cannot drop it, if nothing shows it, before we show it.
_ADD_PART = """INSERT INTO part (sha256, shard, shard_sha256, fragment)
 VALUES (:sha256, :shard, :shard_sha256, :fragment) ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256"""

_SHOWN = (
    select(shelf.c.partition, shelf.c.name, part.c.sha256)
    .join_from(shelf, part, part.c.id == shelf.c.part_id, isouter=True)
    .where(
        shelf.c.channel_id == bindparam("channel_id"),
        any_of(shelf.c.partition, "partitions"),
        any_of(shelf.c.name, "names"),
        shelf.c.to_rev.is_(None),
    )
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
_SHOW = """INSERT INTO shelf (channel_id, partition, name, from_rev, part_id)
 VALUES (:channel_id, :partition, :name, :number, (SELECT id FROM part WHERE sha256 = :sha256))
 ON CONFLICT (channel_id, partition, name, from_rev) DO UPDATE SET part_id = excluded.part_id, to_rev = NULL"""

# `+ 0` keeps a planner without statistics from an index over every revision of every partition.
_AT = and_(
    shelf.c.channel_id == bindparam("channel_id"),
    shelf.c.partition == bindparam("partition"),
    shelf.c.from_rev + 0 <= bindparam("number"),
    or_(shelf.c.to_rev.is_(None), shelf.c.to_rev > bindparam("number")),
    shelf.c.part_id.is_not(None),
)
_SHELVED_AT = (
    select(part.c.shard)
    .join_from(shelf, part, part.c.id == shelf.c.part_id)
    .where(_AT, shelf.c.name == bindparam("name"))
)
_STAGED = (
    select(shelf.c.name)
    .where(shelf.c.channel_id == bindparam("channel_id"), shelf.c.from_rev > bindparam("number"))
    .limit(1)
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
        judged(
            entry.join(channel, channel.c.id == entry.c.channel_id).join(content, content.c.id == entry.c.content_id)
        )
    )
    .where(
        entry.c.channel_id == bindparam("channel_id"),
        entry.c.partition == bindparam("partition"),
        SHOWN,
    )
    .order_by(entry.c.filename)
)


#: a name in a partition: what one part is of
Key = tuple[str, str]


class File(NamedTuple):
    """One visible file, as parts and package rows are made of it. Times are microseconds."""

    family: str
    partition: str
    name: str
    filename: str
    version: str
    build_number: int
    license: str
    license_family: str
    timestamp: int | None
    visible_at: int
    content_id: int | None
    record_id: int
    json: bytes  #: this and what follows are None in partitions that were not asked for
    packed: bytes
    signatures: str | None


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
    """Return the channels with names that wait for publishing, and may be published: that are not frozen."""
    return [row[0] for row in await reader.fetch_all(_DIRTY_CHANNELS)]


async def clean(unit: Unit, ids: list[int]) -> None:
    """Forget these rows of dirty names."""
    await unit.execute(_CLEAN, ids=ids)


async def beyond(reader: Reader, channel_id: int, number: int) -> bool:
    """Tell whether more than so many names wait for publishing."""
    return await reader.fetch_one(_DIRTY_BEYOND, channel_id=channel_id, number=number) is not None


async def names_waiting(reader: Reader, channel_id: int, after: str, limit: int) -> list[str]:
    """Return the next names that wait for publishing, in order."""
    rows = await reader.fetch_all(_NAMES_WAITING, channel_id=channel_id, after=after, limit=limit)
    return [row[0] for row in rows]


async def waiting_of(reader: Reader, channel_id: int, names: Iterable[str]) -> list[tuple[int, str, str]]:
    """Return (id, partition, name) of every row of these names that waits for publishing."""
    rows = await reader.fetch_all(_DIRTY_OF, channel_id=channel_id, names=list(names))
    return [(row[0], row[1], row[2]) for row in rows]


async def files_of(
    reader: Reader, channel_id: int, names: Iterable[str], partitions: Iterable[str] = ()
) -> dict[str, list[File]]:
    """Return the visible files of names, by partition and file name; with their bodies in these partitions.

    Names of which nothing is visible are missing.
    """
    some = {"names": list(names), "partitions": list(partitions)}
    return _by_name(await reader.fetch_all(_FILES, channel_id=channel_id, **some))


async def rows_of(
    reader: Reader, channel_id: int, partitions: Iterable[str], names: Iterable[str]
) -> dict[Key, list[File]]:
    """Return the visible files of names in partitions, by file name; without those of which there is none."""
    some = {"partitions": list(partitions), "names": list(names)}
    rows = _by_name(await reader.fetch_all(_ROWS, channel_id=channel_id, **some))
    return {key: files for some in rows.values() for key, files in by_partition(some).items()}


def by_partition(files: Iterable[File]) -> dict[Key, list[File]]:
    """Return the files of a name by partition."""
    return {key: list(some) for key, some in groupby(files, itemgetter(1, 2))}


def _by_name(rows: Iterable[Row]) -> dict[str, list[File]]:
    found: dict[str, list[File]] = {}
    for row in rows:
        found.setdefault(row[2], []).append(File._make(row))
    for files in found.values():  # here, not in the database, which would carry their bodies along
        files.sort(key=itemgetter(3))
        files.sort(key=itemgetter(1))
    return found


async def records_of(reader: Reader, ids: list[int]) -> dict[int, bytes]:
    """Return record id → its canonical JSON."""
    return {row[0]: row[1] for row in await reader.fetch_all(_RECORDS, ids=ids)}


async def shown(reader: Reader, channel_id: int, keys: Collection[Key]) -> dict[Key, bytes | None]:
    """Return the identity of the part that the shelf shows of each key (None: nothing any more).

    Keys of which it never showed anything are missing.
    """
    partitions, names = {partition for partition, _ in keys}, {name for _, name in keys}
    some = {"partitions": list(partitions), "names": list(names)}
    rows = await reader.fetch_all(_SHOWN, channel_id=channel_id, **some)
    return {(row[0], row[1]): None if row[2] is None else bytes(row[2]) for row in rows if (row[0], row[1]) in keys}


async def add_parts(unit: Unit, parts: Iterable[Part]) -> None:
    """Keep parts, unless the same were rendered before."""
    # in one order, so that two channels with the same parts do not wait for each other
    await unit.execute_many(_ADD_PART, [one._asdict() for one in sorted(parts, key=lambda part: part.sha256)])


async def show(
    unit: Unit, channel_id: int, number: int, parts: Mapping[Key, bytes | None], before: Container[Key]
) -> None:
    """From revision `number` on the shelf shows these parts, by identity (None: nothing).

    `before` are keys of which it showed something at any time.
    """
    again = [{"in_partition": key[0], "of_name": key[1]} for key in parts if key in before]
    await unit.execute_many(_CLOSE, [{"channel": channel_id, "number": number, **one} for one in again])
    rows = [{"partition": key[0], "name": key[1], "sha256": sha256} for key, sha256 in parts.items()]
    await unit.execute_many(_SHOW, [{"channel_id": channel_id, "number": number, **one} for one in rows])


async def shelved_at(reader: Reader, channel_id: int, key: Key, number: int) -> bytes | None:
    """Return the shard, as served, that the shelf shows of a key at a revision; None: nothing."""
    place = {"channel_id": channel_id, "partition": key[0], "name": key[1], "number": number}
    value = await reader.fetch_value(_SHELVED_AT, **place)
    return None if value is None else bytes(value)


async def any_staged(reader: Reader, channel_id: int, number: int) -> bool:
    """Say whether the shelf holds something for a revision beyond `number`."""
    return await reader.fetch_one(_STAGED, channel_id=channel_id, number=number) is not None


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
