"""Queries of entries: which file this channel shows, with which record, and what its coordinate is bound to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from packhouse.catalog.packages.hiding import HIDDEN_BY, HIDDEN_SINCE, HIDDEN_UNTIL, judged
from packhouse.catalog.schema import (
    binding,
    channel,
    channel_path,
    content,
    dirty,
    download,
    entry,
    record,
    removal,
)
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader
from packhouse.formats.base import Coordinate


class Entry(msgspec.Struct, frozen=True):
    """A row of `entry` with what a reader of the file needs."""

    id: int
    channel_id: int
    family: str
    partition: str
    name: str
    filename: str
    record_id: int
    content_id: int | None
    mirror_id: int | None
    origin_id: int | None  #: with a passive entry: where its bytes can be had, if not from its mirror
    source_url: str | None
    visible_at: int
    sha256: bytes | None  #: of the content, or else what the record claims
    md5: bytes | None
    size: int | None
    rule: str | None  #: the rule that hides it here, if one does
    hidden_since: int | None = None
    hidden_until: int | None = None  #: if time alone ends it

    @property
    def active(self) -> bool:
        """Whether we hold the bytes."""
        return self.content_id is not None


class Selected(msgspec.Struct, frozen=True):
    """A file that a request is about to change."""

    id: int
    family: str
    partition: str
    name: str
    filename: str
    content_id: int | None
    sha256: bytes | None
    version: str
    build: str
    record_id: int
    uploaded: bool  #: by somebody, here or where it was copied from
    rule: str | None  #: the rule that hides it here, if one does

    @property
    def coordinate(self) -> Coordinate:
        """Where it stands."""
        return Coordinate(self.family, self.partition, self.filename, self.name, self.version, self.build)


def _key(table: Any) -> Any:
    return and_(
        table.c.channel_id == bindparam("channel_id"),
        table.c.family == bindparam("family"),
        table.c.partition == bindparam("partition"),
        table.c.filename == bindparam("filename"),
    )


_WITH_BYTES = (
    entry.join(channel, channel.c.id == entry.c.channel_id)
    .join(record, record.c.id == entry.c.record_id)
    .outerjoin(content, content.c.id == entry.c.content_id)
)
_FIND = (
    select(
        *(entry.c[name] for name in Entry.__struct_fields__[:12]),
        content.c.sha256,
        content.c.md5,
        content.c.size,
        HIDDEN_BY,
        HIDDEN_SINCE,
        HIDDEN_UNTIL,
        record.c.claimed_sha256,
        record.c.claimed_md5,
        record.c.size,
    )
    .select_from(judged(_WITH_BYTES))
    .where(_key(entry))
)
# By itself: a joined row that waited for its lock would be shown beside what the rest of the join was before.
_HOLD = select(entry.c.id).where(_key(entry)).with_for_update()
_OF_PACKAGE = (
    select(
        *(entry.c[name] for name in ("id", "family", "partition", "name", "filename", "content_id")),
        func.coalesce(content.c.sha256, record.c.claimed_sha256),
        record.c.version,
        record.c.build,
        entry.c.record_id,
        entry.c.uploaded,
        HIDDEN_BY,
    )
    .select_from(judged(_WITH_BYTES))
    .where(
        entry.c.channel_id == bindparam("channel_id"),
        entry.c.name == bindparam("name"),
        entry.c.family == bindparam("family"),
    )
    .order_by(entry.c.id)
)
_COPY = """INSERT INTO entry (channel_id, family, partition, name, filename, record_id, content_id, origin_id,
 source_url, source_hash, uploaded, first_seen_at, visible_at, event_id)
 SELECT :target, family, partition, name, filename, record_id, content_id, CASE WHEN content_id IS NULL THEN
 COALESCE(origin_id, (SELECT id FROM origin WHERE origin.mirror_id = entry.mirror_id)) END, source_url, NULL,
 uploaded, first_seen_at, :now, :event_id
 FROM entry WHERE id = :entry_id"""
# also when it is there, so that it is held until the unit has ended
_GIVE_ORIGIN = """INSERT INTO origin (mirror_id) SELECT mirror_id FROM entry
 WHERE id = :entry_id AND content_id IS NULL AND origin_id IS NULL AND mirror_id IS NOT NULL
 ON CONFLICT (mirror_id) DO UPDATE SET mirror_id = excluded.mirror_id"""
_ADD_ONE = """INSERT INTO entry (channel_id, family, partition, name, filename, record_id, content_id, mirror_id,
 source_url, source_hash, uploaded, first_seen_at, visible_at, event_id)
 VALUES (:channel_id, :family, :partition, :name, :filename, :record_id, :content_id, :mirror_id, :source_url,
 :source_hash, :uploaded, :first_seen_at, :visible_at, :event_id)"""
_ADD = _ADD_ONE + " ON CONFLICT (channel_id, family, partition, filename) DO NOTHING"
_ADOPT = (
    update(entry)
    .where(_key(entry))
    .values(
        record_id=bindparam("new_record"),
        content_id=bindparam("new_content"),
        mirror_id=None,
        origin_id=None,
        source_url=None,
        source_hash=None,
        uploaded=or_(entry.c.uploaded, bindparam("by_somebody")),
        event_id=bindparam("new_event"),
    )
)
_LOCK = select(entry.c.id).where(any_of(entry.c.id, "ids")).order_by(entry.c.id).with_for_update()
_REMOVE = delete(entry).where(entry.c.id == bindparam("entry_id"))
_FORGET_DOWNLOADS = delete(download).where(download.c.entry_id == bindparam("entry_id"))
_LOG_REMOVAL = (
    "INSERT INTO removal (channel_id, family, partition, name, filename, cause, mirror_id, by_person, event_id, at,"
    " arrival_event_id, visible_at)"
    " SELECT channel_id, family, partition, name, filename, :cause, mirror_id, :by_person, :event_id, :at,"
    " event_id, visible_at FROM entry WHERE id = :entry_id"
)
_RESTORE_FLAG = update(removal).where(_key(removal), removal.c.by_person.is_(True)).values(by_person=False)
_BIND = """INSERT INTO binding (channel_id, family, partition, filename, sha256)
 VALUES (:channel_id, :family, :partition, :filename, :sha256)
 ON CONFLICT (channel_id, family, partition, filename) DO NOTHING"""
_AT_COORDINATE = and_(
    binding.c.family == bindparam("family"),
    binding.c.partition == bindparam("partition"),
    binding.c.filename == bindparam("filename"),
)
# Two look-ups instead of one condition with OR, for which SQLite would read every binding there is.
_BOUND = (
    select(binding.c.sha256)
    .where(binding.c.channel_id == bindparam("channel_id"), _AT_COORDINATE)
    .union(
        select(binding.c.sha256)
        .join_from(channel_path, binding, binding.c.channel_id == channel_path.c.channel_id)
        .where(
            channel_path.c.path == bindparam("path"),
            or_(channel_path.c.until_binding.is_(None), channel_path.c.until_binding >= binding.c.id),
            _AT_COORDINATE,
        )
    )
)
_DIRTY = insert(dirty).values(
    channel_id=bindparam("channel_id"), partition=bindparam("partition"), name=bindparam("name")
)


async def find(reader: Reader, channel_id: int, family: str, partition: str, filename: str) -> Entry | None:
    """Return the entry of a coordinate, hidden or not; whoever asks must look at `rule`.

    Inside a unit it stays so until its end.
    """
    key = {"channel_id": channel_id, "family": family, "partition": partition, "filename": filename}
    if isinstance(reader, Unit) and not await reader.fetch_all(_HOLD, **key):
        return None
    row = await reader.fetch_one(_FIND, **key)
    if row is None:
        return None
    values = [*row[:12], *(row[12:15] if row[7] is not None else row[18:21]), *row[15:18]]
    return Entry(*values)


async def of_package(reader: Reader, channel_id: int, family: str, name: str) -> list[Selected]:
    """Return every file of a package, hidden or not, in ascending id."""
    rows = await reader.fetch_all(_OF_PACKAGE, channel_id=channel_id, family=family, name=name)
    return [Selected(*row) for row in rows]


async def copy_rows(unit: Unit, ids: Sequence[int], target: int, event_id: int) -> None:
    """Show entries in another channel too, at coordinates the unit has found free; a rival there makes it run again.

    A passive copy belongs to no mirror, but keeps the origin its bytes can be had from, whatever becomes of the mirror.
    """
    await unit.execute_many(_GIVE_ORIGIN, [{"entry_id": one} for one in ids])
    rows = [{"entry_id": one, "target": target, "event_id": event_id, "now": unit.now} for one in ids]
    await unit.execute_many(_COPY, rows)


async def add(unit: Unit, rows: Sequence[dict[str, Any]]) -> None:
    """Add entries given as rows of the table; a coordinate that is taken stays as it is."""
    await unit.execute_many(_ADD, rows)


async def add_one(unit: Unit, row: dict[str, Any]) -> None:
    """Add one entry, at a coordinate the unit has found free; a rival there makes it run again."""
    await unit.execute(_ADD_ONE, **row)


async def adopt(
    unit: Unit, channel_id: int, at: Coordinate, record_id: int, content_id: int, event_id: int, *, uploaded: bool
) -> None:
    """Somebody takes over a mirrored coordinate, which the unit has found, with the bytes the mirror promised."""
    new = {"new_record": record_id, "new_content": content_id, "new_event": event_id, "by_somebody": uploaded}
    await unit.execute(_ADOPT, **new, **key_of(channel_id, at))


async def lock(unit: Unit, ids: list[int]) -> set[int]:
    """Return which of these entries still exist; nobody changes them before the unit has ended."""
    return {row[0] for row in await unit.fetch_all(_LOCK, ids=ids)}


async def remove(unit: Unit, ids: Sequence[int], cause: str, by_person: bool, event_id: int) -> None:
    """Take entries out of their channels and log each; their bindings stay for ever."""
    log = [
        {"entry_id": one, "cause": cause, "by_person": by_person, "event_id": event_id, "at": unit.now} for one in ids
    ]
    await unit.execute_many(_LOG_REMOVAL, log)
    for statement in (_REMOVE, _FORGET_DOWNLOADS):
        await unit.execute_many(statement, [{"entry_id": one} for one in ids])


async def forgive(unit: Unit, channel_id: int, at: Coordinate) -> None:
    """Let mirrors bring a coordinate again that a person had removed."""
    await unit.execute(_RESTORE_FLAG, **key_of(channel_id, at))


async def bound_to(reader: Reader, channel_id: int, path: str, at: Coordinate) -> set[bytes]:
    """Return the SHA-256 this coordinate is bound to at this path; empty when it is free (invariant I3)."""
    rows = await reader.fetch_all(_BOUND, path=path, **key_of(channel_id, at))
    return {bytes(row[0]) for row in rows}


async def bind(unit: Unit, channel_id: int, at: Coordinate, sha256: bytes) -> None:
    """Bind a coordinate to one content for ever."""
    await unit.execute(_BIND, sha256=sha256, **key_of(channel_id, at))


async def bind_many(unit: Unit, rows: Sequence[dict[str, Any]]) -> None:
    """Bind many coordinates, given as rows of `binding`; one that is bound already stays so, so ask afterwards."""
    await unit.execute_many(_BIND, rows)


async def mark_dirty(unit: Unit, channel_id: int, names: Sequence[tuple[str, str]]) -> None:
    """Say that these (partition, name) of the index are no longer what the catalogue says."""
    rows = [{"channel_id": channel_id, "partition": partition, "name": name} for partition, name in names]
    await unit.execute_many(_DIRTY, rows)


def key_of(channel_id: int, at: Coordinate) -> dict[str, Any]:
    """Return the columns that name a coordinate in a channel."""
    return {"channel_id": channel_id, "family": at.family, "partition": at.partition, "filename": at.filename}
