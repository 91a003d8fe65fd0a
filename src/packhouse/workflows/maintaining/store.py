"""Queries about the published index as a whole: what `verify` compares and `repair` sets right."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, delete, func, insert, or_, select, union, update

from packhouse.catalog.schema import channel, dirty, entry, head, package, package_total, part, revision, shelf
from packhouse.core.db import Database, Row, Unit
from packhouse.core.db.base import Reader
from packhouse.workflows.indexing.store import Part

#: the columns of `package` that are derived, in the order the queries give them
DERIVED = (
    *("family", "name", "file_count", "latest_version", "build_number", "license", "license_family", "summary"),
    *("platforms", "needs", "overview"),
)

_CHANNELS = select(channel.c.id).where(channel.c.path.is_not(None)).order_by(channel.c.id)
_NAMES = (
    select(entry.c.name)
    .distinct()
    .where(entry.c.channel_id == bindparam("channel_id"), entry.c.name > bindparam("after"))
    .order_by(entry.c.name)
    .limit(bindparam("limit"))
)
_PARTITIONS = union(
    select(shelf.c.partition).where(shelf.c.channel_id == bindparam("channel_id")),
    select(entry.c.partition).where(entry.c.channel_id == bindparam("channel_id")),
)
_SHOWN = (
    select(shelf.c.name, part.c.sha256)
    .join_from(shelf, part, part.c.id == shelf.c.part_id)
    .where(
        shelf.c.channel_id == bindparam("channel_id"),
        shelf.c.partition == bindparam("partition"),
        shelf.c.name > bindparam("after"),
        shelf.c.to_rev.is_(None),
    )
)
_SHOWN_BETWEEN = _SHOWN.where(shelf.c.name <= bindparam("until"))
_STATE = select(
    select(func.count())
    .where(
        dirty.c.channel_id == channel.c.id,
        dirty.c.partition == bindparam("partition"),
        dirty.c.name == bindparam("name"),
    )
    .scalar_subquery(),
    select(part.c.sha256)
    .join_from(shelf, part, part.c.id == shelf.c.part_id)
    .where(
        shelf.c.channel_id == channel.c.id,
        shelf.c.partition == bindparam("partition"),
        shelf.c.name == bindparam("name"),
        shelf.c.to_rev.is_(None),
    )
    .scalar_subquery(),
).where(channel.c.id == bindparam("channel_id"), channel.c.path.is_not(None))
_PINNED_AT = (
    select(head.c.revision)
    .join_from(head, channel, channel.c.id == head.c.channel_id)
    .where(channel.c.id == bindparam("channel_id"), channel.c.frozen_at.is_not(None), channel.c.path.is_not(None))
)
_PINNED = (
    select(shelf.c.name, part.c.shard)
    .join_from(shelf, part, part.c.id == shelf.c.part_id)
    .where(
        shelf.c.channel_id == bindparam("channel_id"),
        shelf.c.partition == bindparam("partition"),
        shelf.c.name > bindparam("after"),
        shelf.c.from_rev <= bindparam("number"),
        or_(shelf.c.to_rev.is_(None), shelf.c.to_rev > bindparam("number")),
    )
    .order_by(shelf.c.name)
    .limit(bindparam("limit"))
)
_FILENAMES = select(entry.c.filename).where(
    entry.c.channel_id == bindparam("channel_id"),
    entry.c.partition == bindparam("partition"),
    entry.c.name > bindparam("after"),
    entry.c.name <= bindparam("until"),
)
_IS_DIRTY = (
    select(dirty.c.id).where(dirty.c.channel_id == bindparam("channel_id"), dirty.c.name == bindparam("name")).limit(1)
)
_WAITING = select(func.count()).select_from(dirty).where(dirty.c.channel_id == bindparam("channel_id"))

_PACKAGES = select(*(package.c[name] for name in DERIVED)).where(
    package.c.channel_id == bindparam("channel_id"), package.c.name > bindparam("after")
)
_PACKAGES_BETWEEN = _PACKAGES.where(package.c.name <= bindparam("until"))
_PACKAGES_OF = select(*(package.c[name] for name in DERIVED)).where(
    package.c.channel_id == bindparam("channel_id"), package.c.name == bindparam("name")
)

_PARTS = (
    select(part.c.id, part.c.sha256, part.c.shard, part.c.shard_sha256, part.c.fragment)
    .where(part.c.id > bindparam("after"))
    .order_by(part.c.id)
    .limit(bindparam("limit"))
)
_WHERE_SHOWN = (
    select(shelf.c.channel_id, shelf.c.partition, shelf.c.name, shelf.c.to_rev)
    .where(shelf.c.part_id == bindparam("part_id"))
    .order_by(shelf.c.to_rev.is_not(None), shelf.c.from_rev.desc())
)
_SET_PART = (
    update(part)
    .where(part.c.id == bindparam("part_id"))
    .values(shard=bindparam("new_shard"), shard_sha256=bindparam("new_sha256"), fragment=bindparam("new_fragment"))
)
_UNSHELVE = update(shelf).where(shelf.c.part_id == bindparam("of_part")).values(part_id=None)
_DROP_PART = delete(part).where(part.c.id == bindparam("part_id"))

# Each row of a name ends where the next one begins, and only the last one is open.
_NEXT = (
    select(
        shelf.c.channel_id,
        shelf.c.partition,
        shelf.c.name,
        shelf.c.from_rev,
        shelf.c.to_rev,
        func.lead(shelf.c.from_rev)
        .over(partition_by=(shelf.c.partition, shelf.c.name), order_by=shelf.c.from_rev)
        .label("next_rev"),
    )
    .where(shelf.c.channel_id == bindparam("channel_id"))
    .subquery()
)
_BROKEN = select(_NEXT.c.partition, _NEXT.c.name, _NEXT.c.from_rev, _NEXT.c.to_rev, _NEXT.c.next_rev).where(
    or_(
        and_(_NEXT.c.next_rev.is_(None), _NEXT.c.to_rev.is_not(None)),
        and_(_NEXT.c.next_rev.is_not(None), or_(_NEXT.c.to_rev.is_(None), _NEXT.c.to_rev != _NEXT.c.next_rev)),
    )
)
_SET_END = (
    update(shelf)
    .where(
        shelf.c.channel_id == bindparam("channel"),
        shelf.c.partition == bindparam("in_partition"),
        shelf.c.name == bindparam("of_name"),
        shelf.c.from_rev == bindparam("begin"),
    )
    .values(to_rev=bindparam("end"))
)

_OF_CHANNEL = revision.c.channel_id == channel.c.id
_LAST_SHELVED = select(func.max(shelf.c.from_rev)).where(shelf.c.channel_id == channel.c.id).scalar_subquery()
# what is staged for the end of a freeze stands one above the head
_COUNTERS = (
    select(
        head.c.revision,
        select(func.count()).where(_OF_CHANNEL).scalar_subquery(),
        select(func.min(revision.c.number)).where(_OF_CHANNEL).scalar_subquery(),
        select(func.max(revision.c.number)).where(_OF_CHANNEL).scalar_subquery(),
        func.coalesce(_LAST_SHELVED, 0) - case((channel.c.frozen_at.is_not(None), 1), else_=0),
    )
    .select_from(channel.outerjoin(head, head.c.channel_id == channel.c.id))
    .where(channel.c.id == bindparam("channel_id"), channel.c.path.is_not(None))
)
_NUMBERS = select(revision.c.number).where(revision.c.channel_id == bindparam("channel_id"))
_ADD_REVISION = insert(revision).values(
    channel_id=bindparam("channel_id"), number=bindparam("number"), committed_at=bindparam("at")
)
_PUT_HEAD = """INSERT INTO head (channel_id, revision) VALUES (:channel_id, :number)
 ON CONFLICT (channel_id) DO UPDATE SET revision = excluded.revision"""

_TOTALS = (
    select(
        channel.c.id,
        channel.c.path,
        func.count(package.c.id),
        func.coalesce(func.sum(package.c.file_count), 0),
        func.coalesce(func.sum(package.c.download_count), 0),
    )
    .select_from(channel.outerjoin(package, package.c.channel_id == channel.c.id))
    .where(channel.c.path.is_not(None))
    .group_by(channel.c.id, channel.c.path)
    .subquery()
)
_SUMS = list(_TOTALS.c)[2:]
_KEPT = [func.coalesce(package_total.c[name], 0) for name in ("packages", "files", "downloads")]
_WRONG_TOTALS = (
    select(_TOTALS.c.id, _TOTALS.c.path, *_SUMS)
    .select_from(_TOTALS.outerjoin(package_total, package_total.c.channel_id == _TOTALS.c.id))
    .where(or_(*(one != other for one, other in zip(_SUMS, _KEPT, strict=True))))
)
# A row that was lost goes on from a number no process can remember: the time.
_SET_TOTAL = """INSERT INTO package_total (channel_id, packages, files, downloads, changes)
 SELECT :channel_id, count(*), coalesce(sum(file_count), 0), coalesce(sum(download_count), 0), :now FROM package
 WHERE channel_id = :channel_id
 ON CONFLICT (channel_id) DO UPDATE SET packages = excluded.packages, files = excluded.files,
 downloads = excluded.downloads, changes = package_total.changes + 1"""


class StoredPart(NamedTuple):
    """A row of `part`."""

    id: int
    sha256: bytes
    shard: bytes
    shard_sha256: bytes
    fragment: bytes


class Counters(NamedTuple):
    """What is counted of one channel's revisions; None where there is none."""

    head: int | None
    numbers: int
    first: int | None
    last: int | None
    shelved: int  #: the last revision the shelf speaks of, without what is staged

    @property
    def sound(self) -> bool:
        """Whether the numbers run from 1 to the head without a gap, and the shelf is not ahead of them."""
        return self.head == self.numbers == (self.last or 0) and (self.first or 1) == 1 and self.shelved <= self.numbers


async def channel_ids(reader: Reader) -> list[int]:
    """Return the channels that are not deleted."""
    return [row[0] for row in await reader.fetch_all(_CHANNELS)]


async def names_after(db: Database, channel_id: int, after: str, limit: int) -> list[str]:
    """Return the next names that have files in a channel, in the database's order."""
    return [row[0] for row in await db.fetch_large(_NAMES, channel_id=channel_id, after=after, limit=limit)]


async def partitions(db: Database, channel_id: int) -> list[str]:
    """Return every partition of a channel's files, and that its shelf speaks of."""
    return [row[0] for row in await db.fetch_large(_PARTITIONS, channel_id=channel_id)]


async def shown_between(
    db: Database, channel_id: int, partition: str, after: str, until: str | None
) -> dict[tuple[str, str], bytes]:
    """Return (partition, name) → identity of the part shown now, for names above `after` up to `until` (None: all)."""
    where = {"channel_id": channel_id, "partition": partition, "after": after}
    if until is None:
        rows = await db.fetch_large(_SHOWN, **where)
    else:
        rows = await db.fetch_large(_SHOWN_BETWEEN, until=until, **where)
    return {(partition, row[0]): bytes(row[1]) for row in rows}


async def state_of(reader: Reader, channel_id: int, partition: str, name: str) -> tuple[bool, bytes | None] | None:
    """Return whether a name waits for publishing, and the identity of what is shown; None: the channel is gone."""
    row = await reader.fetch_one(_STATE, channel_id=channel_id, partition=partition, name=name)
    return (row[0] > 0, None if row[1] is None else bytes(row[1])) if row else None


async def pinned_at(reader: Reader, channel_id: int) -> int | None:
    """Return the revision a frozen channel shows; None when it is not frozen."""
    row = await reader.fetch_one(_PINNED_AT, channel_id=channel_id)
    return int(row[0]) if row else None


async def pinned_shards(
    db: Database, channel_id: int, partition: str, number: int, after: str, limit: int
) -> list[tuple[str, bytes]]:
    """Return the next (name, shard as served) that a partition shows in a revision, by name."""
    where = {"channel_id": channel_id, "partition": partition, "number": number}
    return [(row[0], bytes(row[1])) for row in await db.fetch_large(_PINNED, after=after, limit=limit, **where)]


async def filenames_between(db: Database, channel_id: int, partition: str, after: str, until: str) -> set[str]:
    """Return the files a partition has of the names above `after` up to `until`."""
    where = {"channel_id": channel_id, "partition": partition}
    return {row[0] for row in await db.fetch_large(_FILENAMES, after=after, until=until, **where)}


async def waits(reader: Reader, channel_id: int, name: str) -> bool:
    """Tell whether a name waits for publishing in any partition."""
    return await reader.fetch_one(_IS_DIRTY, channel_id=channel_id, name=name) is not None


async def waiting(reader: Reader, channel_id: int) -> int:
    """Return how many names of a channel wait for publishing."""
    return int(await reader.fetch_value(_WAITING, channel_id=channel_id))


def _package(row: Row) -> dict[str, Any]:
    return dict(zip(DERIVED, (*row[:-1], bytes(row[-1])), strict=True))


async def packages_between(
    db: Database, channel_id: int, after: str, until: str | None
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (family, name) → derived columns of the package rows above `after` up to `until` (None: all)."""
    if until is None:
        rows = await db.fetch_large(_PACKAGES, channel_id=channel_id, after=after)
    else:
        rows = await db.fetch_large(_PACKAGES_BETWEEN, channel_id=channel_id, after=after, until=until)
    return {(row[0], row[1]): _package(row) for row in rows}


async def packages_of(reader: Reader, channel_id: int, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (family, name) → derived columns of the package rows of a name."""
    rows = await reader.fetch_all(_PACKAGES_OF, channel_id=channel_id, name=name)
    return {(row[0], row[1]): _package(row) for row in rows}


async def parts_after(db: Database, after: int, limit: int) -> list[StoredPart]:
    """Return the next parts by id."""
    rows = await db.fetch_large(_PARTS, after=after, limit=limit)
    return [StoredPart(row[0], *map(bytes, row[1:])) for row in rows]


async def shelves_of(reader: Reader, part_id: int) -> list[Row]:
    """Return (channel_id, partition, name, to_rev) of where a part is or was shown, what is shown now first."""
    return await reader.fetch_all(_WHERE_SHOWN, part_id=part_id)


async def set_part(unit: Unit, part_id: int, made: Part) -> None:
    """Write the bytes of a damaged part again."""
    values = {"new_shard": made.shard, "new_sha256": made.shard_sha256, "new_fragment": made.fragment}
    await unit.execute(_SET_PART, part_id=part_id, **values)


async def drop_part(unit: Unit, part_id: int) -> None:
    """Remove a part from wherever it was shown, and itself."""
    await unit.execute(_UNSHELVE, of_part=part_id)
    await unit.execute(_DROP_PART, part_id=part_id)


async def broken_intervals(db: Database, channel_id: int) -> list[Row]:
    """Return (partition, name, from_rev, to_rev, next from_rev) where a row does not end as the next begins."""
    return await db.fetch_large(_BROKEN, channel_id=channel_id)


async def set_end(unit: Unit, channel_id: int, row: Row) -> None:
    """Let a row of `broken_intervals` end where the next one begins."""
    partition, name, begin, _, end = row
    await unit.execute(_SET_END, channel=channel_id, in_partition=partition, of_name=name, begin=begin, end=end)


async def counters(reader: Reader, channel_id: int) -> Counters | None:
    """Return what is counted of a channel's revisions; None when the channel is gone."""
    row = await reader.fetch_one(_COUNTERS, channel_id=channel_id)
    return Counters(*row) if row else None


async def set_counters(unit: Unit, channel_id: int, last: int) -> None:
    """Make `last` the head of a channel, and fill in the numbers that are missing below."""
    known = {row[0] for row in await unit.fetch_all(_NUMBERS, channel_id=channel_id)}
    missing = [number for number in range(1, last + 1) if number not in known]
    rows = [{"channel_id": channel_id, "number": number, "at": unit.now} for number in missing]
    await unit.execute_many(_ADD_REVISION, rows)
    await unit.execute(_PUT_HEAD, channel_id=channel_id, number=last)


async def wrong_totals(db: Database) -> list[Row]:
    """Return (channel id, path, packages, files, downloads), as they should be, of channels with other sums."""
    return await db.fetch_large(_WRONG_TOTALS)


async def set_total(unit: Unit, channel_id: int) -> None:
    """Sum up the packages of a channel again."""
    await unit.execute(_SET_TOTAL, channel_id=channel_id, now=unit.now)
