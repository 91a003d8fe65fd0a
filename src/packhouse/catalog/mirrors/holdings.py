"""Queries of the entries mirrors bring into a channel, in batches of up to two thousand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, func, or_, select, update

from packhouse.catalog.packages import contents, entries
from packhouse.catalog.packages.contents import Record
from packhouse.catalog.packages.hiding import HIDDEN_BY, SHOWN, judged
from packhouse.catalog.schema import binding, channel, channel_path, content, entry, record, removal
from packhouse.core.blobs.hashing import Hashes
from packhouse.core.db import Database, Row, Unit, any_of
from packhouse.core.db.base import Reader
from packhouse.formats.base import Facts


class Known(NamedTuple):
    """What a channel shows at one coordinate."""

    id: int
    filename: str
    name: str
    source_hash: int | None
    mirror_id: int | None
    active: bool
    origin_id: int | None = None  #: what it comes from, when not from its mirror's source as it is now


class Held(NamedTuple):
    """What is known of the bytes of one entry: those we hold, or else those its record claims."""

    id: int
    record_id: int
    sha256: bytes | None
    md5: bytes | None
    size: int | None
    active: bool


class Incoming(msgspec.Struct, frozen=True):
    """One upstream record on its way into the catalogue."""

    filename: str
    record: Record
    source_url: str | None
    source_hash: int
    entry_id: int | None = None  #: the entry that stands at the coordinate
    foreign: bool = False  #: that entry belongs to an upload or another mirror, so it is only compared


class Wanted(NamedTuple):
    """A passive entry and where its bytes can be had."""

    id: int
    family: str
    partition: str
    name: str
    filename: str
    record_id: int
    source_url: str | None
    sha256: bytes | None
    md5: bytes | None
    size: int | None


class Fetched(NamedTuple):
    """A downloaded, verified and inspected file whose bytes lie in the blob store."""

    wanted: Wanted
    hashes: Hashes
    facts: Facts
    since: float  #: before they were rescued from the sweep and stored, of `monotonic`


_IN_PARTITION = (
    entry.c.channel_id == bindparam("channel_id"),
    entry.c.family == bindparam("family"),
    entry.c.partition == bindparam("partition"),
)
_KNOWN = select(
    entry.c.id,
    entry.c.filename,
    entry.c.name,
    entry.c.source_hash,
    entry.c.mirror_id,
    entry.c.content_id.is_not(None),
    entry.c.origin_id,
).where(*_IN_PARTITION)
_PARTITIONS = (
    select(entry.c.partition)
    .distinct()
    .where(entry.c.mirror_id == bindparam("mirror_id"), entry.c.channel_id == bindparam("channel_id"))
)
_HELD = (
    select(
        entry.c.id,
        entry.c.record_id,
        func.coalesce(content.c.sha256, record.c.claimed_sha256),
        func.coalesce(content.c.md5, record.c.claimed_md5),
        func.coalesce(content.c.size, record.c.size),
        entry.c.content_id.is_not(None),
    )
    .select_from(
        entry.join(record, record.c.id == entry.c.record_id).outerjoin(content, content.c.id == entry.c.content_id)
    )
    .where(any_of(entry.c.id, "ids"))
)
# A statement of its own: one that waits for a lock shows the row's new columns beside what they joined before.
_LOCK = select(entry.c.id).where(any_of(entry.c.id, "ids")).with_for_update()
_KEPT_OUT = (
    select(removal.c.filename)
    .distinct()
    .where(
        removal.c.channel_id == bindparam("channel_id"),
        removal.c.family == bindparam("family"),
        removal.c.partition == bindparam("partition"),
        removal.c.by_person.is_(True),
    )
)
_STOOD_HERE = select(channel_path.c.channel_id, channel_path.c.until_binding).where(
    channel_path.c.path == bindparam("path")
)
_BINDINGS = select(binding.c.filename, binding.c.sha256, binding.c.id).where(
    binding.c.channel_id == bindparam("channel_id"),
    binding.c.family == bindparam("family"),
    binding.c.partition == bindparam("partition"),
    any_of(binding.c.filename, "filenames"),
)
_REPLACE = (
    update(entry)
    .where(entry.c.id == bindparam("entry_id"))
    .values(
        record_id=bindparam("new_record"),
        origin_id=None,
        source_url=bindparam("new_url"),
        source_hash=bindparam("new_hash"),
    )
)
_STILL_MINE = (
    select(entry.c.id)
    .where(any_of(entry.c.id, "ids"), entry.c.mirror_id == bindparam("mirror_id"))
    .with_for_update(of=entry)
)
#: the rule that hides files for what only their bytes can say, so that these are fetched nevertheless
_ASKS_FOR_BYTES = "install_time_code"
_JUDGED = judged(entry.join(record, record.c.id == entry.c.record_id).join(channel, channel.c.id == entry.c.channel_id))
_PASSIVE = (
    entry.c.mirror_id == bindparam("mirror_id"),
    entry.c.channel_id == bindparam("channel_id"),
    entry.c.content_id.is_(None),
    entry.c.origin_id.is_(None),
)
_WANTED = (
    select(
        entry.c.id,
        entry.c.family,
        entry.c.partition,
        entry.c.name,
        entry.c.filename,
        entry.c.record_id,
        entry.c.source_url,
        record.c.claimed_sha256,
        record.c.claimed_md5,
        record.c.size,
    )
    .select_from(_JUDGED)
    .where(*_PASSIVE, entry.c.id > bindparam("after"))
    .order_by(entry.c.id)
    .limit(bindparam("limit"))
)
_SHOWN_AND_WANTED = _WANTED.where(or_(SHOWN, HIDDEN_BY == _ASKS_FOR_BYTES))
_HELD_BACK = (
    select(func.count()).select_from(_JUDGED).where(*_PASSIVE, HIDDEN_BY.is_not(None), HIDDEN_BY != _ASKS_FOR_BYTES)
)
_STILL_WANTED = (
    select(entry.c.id, entry.c.record_id)
    .where(any_of(entry.c.id, "ids"), entry.c.content_id.is_(None))
    .with_for_update(of=entry)
)
_SET_CONTENT = """UPDATE entry SET source_url = NULL, origin_id = NULL,
 content_id = (SELECT id FROM content WHERE sha256 = :sha256)
 WHERE id = :entry_id AND EXISTS (SELECT 1 FROM content WHERE sha256 = :sha256 AND deleting IS FALSE)"""
_NOW_ACTIVE = select(entry.c.id).where(any_of(entry.c.id, "ids"), entry.c.content_id.is_not(None))
_TO_CLEAR = (
    select(entry.c.id, entry.c.channel_id, entry.c.partition, entry.c.name, entry.c.content_id.is_not(None))
    .join_from(entry, channel, channel.c.id == entry.c.channel_id)
    .where(entry.c.mirror_id == bindparam("mirror_id"), channel.c.frozen_at.is_(None))
    .order_by(entry.c.id)
    .limit(bindparam("limit"))
)
_ANY = select(entry.c.id).where(entry.c.mirror_id == bindparam("mirror_id")).limit(1)
_COUNT = select(func.count(), func.count(entry.c.content_id)).where(
    entry.c.mirror_id == bindparam("mirror_id"), entry.c.channel_id == bindparam("channel_id")
)
_LET_GO = update(entry).where(any_of(entry.c.id, "ids")).values(mirror_id=None, source_hash=None)


async def known(db: Database, channel_id: int, family: str, partition: str) -> dict[str, Known]:
    """Return by file name everything a channel shows in one partition, whoever brought it."""
    found: dict[str, Known] = {}
    async for rows in db.stream(_KNOWN, channel_id=channel_id, family=family, partition=partition):
        found.update({row[1]: Known(*row) for row in rows})
    return found


async def partitions(reader: Reader, mirror_id: int, channel_id: int) -> set[str]:
    """Return the partitions in which a mirror holds anything."""
    return {row[0] for row in await reader.fetch_all(_PARTITIONS, mirror_id=mirror_id, channel_id=channel_id)}


async def kept_out(reader: Reader, channel_id: int, family: str, partition: str) -> frozenset[str]:
    """Return the file names that a person deleted or moved away and nobody restored."""
    rows = await reader.fetch_all(_KEPT_OUT, channel_id=channel_id, family=family, partition=partition)
    return frozenset(row[0] for row in rows)


async def held(reader: Reader, ids: Sequence[int]) -> dict[int, Held]:
    """Return what is known of the bytes of entries, by id; inside a unit they stay so until its end."""
    if not ids:
        return {}
    if isinstance(reader, Unit):
        await reader.fetch_all(_LOCK, ids=list(ids))
    return {row[0]: Held(*row) for row in await reader.fetch_all(_HELD, ids=list(ids))}


async def bound(
    reader: Reader, channel_id: int, path: str, family: str, partition: str, filenames: Sequence[str]
) -> dict[str, set[bytes]]:
    """Return what coordinates are bound to at this path (invariant I3), by file name; free ones are missing.

    As `entries.bound_to` says of one coordinate; two thousand are looked up here with a few statements.
    """
    places = {row[0]: row[1] for row in await reader.fetch_all(_STOOD_HERE, path=path)} | {channel_id: None}
    found: dict[str, set[bytes]] = {}
    for place, until in places.items():
        rows = await reader.fetch_all(
            _BINDINGS, channel_id=place, family=family, partition=partition, filenames=list(filenames)
        )
        for filename, sha256, number in rows:
            if until is None or number <= until:
                found.setdefault(filename, set()).add(bytes(sha256))
    return found


async def replace_records(unit: Unit, rows: Iterable[Incoming], ids: dict[bytes, int]) -> None:
    """Give entries (`entry_id`) another record, whose file their mirror's source has now."""
    await unit.execute_many(
        _REPLACE,
        [
            {
                "entry_id": one.entry_id,
                "new_record": ids[one.record.sha256],
                "new_url": one.source_url,
                "new_hash": one.source_hash,
            }
            for one in rows
        ],
    )


async def still_mine(unit: Unit, mirror_id: int, ids: Sequence[int]) -> set[int]:
    """Return those entries that still belong to the mirror, and hold them until the unit has ended."""
    return {row[0] for row in await unit.fetch_all(_STILL_MINE, ids=list(ids), mirror_id=mirror_id)}


async def wanted(
    reader: Reader, mirror_id: int, channel_id: int, after: int, limit: int, *, shown: bool
) -> list[Wanted]:
    """Return the passive entries of a mirror in its own channel, by id, from `after` on; if `shown`, not hidden ones.

    What is hidden now and shown later is fetched by the next run then, or when it is asked for.
    """
    statement = _SHOWN_AND_WANTED if shown else _WANTED
    rows = await reader.fetch_all(statement, mirror_id=mirror_id, channel_id=channel_id, after=after, limit=limit)
    return [Wanted(*row) for row in rows]


async def held_back(db: Database, mirror_id: int, channel_id: int) -> int:
    """Return how many passive entries of a mirror in its channel are not `wanted` if `shown`."""
    rows = await db.fetch_large(_HELD_BACK, mirror_id=mirror_id, channel_id=channel_id)
    return int(rows[0][0])


async def set_contents(unit: Unit, channel_id: int, path: str, files: Sequence[Fetched]) -> tuple[set[int], set[int]]:
    """Make passive entries active: content, binding, link. Return the ids that are now, and those bound otherwise.

    An entry that is gone, active already, or says something else than when its bytes were fetched is left alone.
    """
    same = {row[0]: row[1] for row in await unit.fetch_all(_STILL_WANTED, ids=[one.wanted.id for one in files])}
    fitting = [one for one in files if same.get(one.wanted.id) == one.wanted.record_id]
    await entries.bind_many(unit, [_key(channel_id, one) for one in fitting])
    refused: set[int] = set()
    for place in {(one.wanted.family, one.wanted.partition) for one in fitting}:
        here = [one for one in fitting if (one.wanted.family, one.wanted.partition) == place]
        found = await bound(unit, channel_id, path, *place, [one.wanted.filename for one in here])
        refused |= {one.wanted.id for one in here if found[one.wanted.filename] != {_digest(one)}}
    taken = [one for one in fitting if one.wanted.id not in refused]
    await contents.add_contents(unit, [(one.hashes, one.facts) for one in taken])
    await unit.execute_many(_SET_CONTENT, [{"entry_id": one.wanted.id, "sha256": _digest(one)} for one in taken])
    rows = await unit.fetch_all(_NOW_ACTIVE, ids=[one.wanted.id for one in taken])
    return {row[0] for row in rows}, refused


def _digest(one: Fetched) -> bytes:
    return bytes.fromhex(one.hashes.sha256)


def _key(channel_id: int, one: Fetched) -> dict[str, Any]:
    at = {"channel_id": channel_id, "family": one.wanted.family, "partition": one.wanted.partition}
    return {**at, "filename": one.wanted.filename, "sha256": _digest(one)}


async def to_clear(db: Database, mirror_id: int, limit: int) -> list[Row]:
    """Return (id, channel_id, partition, name, active) of entries a mirror brought, in whatever unfrozen channel."""
    return await db.fetch_large(_TO_CLEAR, mirror_id=mirror_id, limit=limit)


async def has_any(reader: Reader, mirror_id: int) -> bool:
    """Return whether any entry in any channel belongs to a mirror."""
    return await reader.fetch_one(_ANY, mirror_id=mirror_id) is not None


async def let_go(unit: Unit, ids: Sequence[int]) -> None:
    """Let entries stay without their mirror, as if they had been uploaded."""
    await unit.execute(_LET_GO, ids=list(ids))


async def count(db: Database, mirror_id: int, channel_id: int) -> tuple[int, int]:
    """Return how many entries of a mirror in its channel are active and passive."""
    rows = await db.fetch_large(_COUNT, mirror_id=mirror_id, channel_id=channel_id)
    return int(rows[0][1]), int(rows[0][0] - rows[0][1])
