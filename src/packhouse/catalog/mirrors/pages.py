"""What upstreams said of single names when somebody wanted them, as last taken in: their validators, and when."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Column, ForeignKey, PrimaryKeyConstraint, Table, Text, bindparam, delete, select, update

from packhouse.catalog.mirrors.holdings import Known
from packhouse.catalog.schema import entry
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader
from packhouse.core.db.types import METADATA, Int, Micros

# Only of names that the upstream had at some time: anybody may ask for any number of others.
mirror_page = Table(
    "mirror_page",
    METADATA,
    Column("mirror_id", ForeignKey("mirror.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("file_count", Int, nullable=False),  # 0: the upstream has it no longer, or no file of it that we can publish
    Column("checked_at", Micros, nullable=False),
    PrimaryKeyConstraint("mirror_id", "name"),
)

_OF_NAME = select(*mirror_page.c).where(
    any_of(mirror_page.c.mirror_id, "ids"), mirror_page.c.name == bindparam("of_name")
)
_NAMES = (
    select(mirror_page.c.name)
    .where(mirror_page.c.mirror_id == bindparam("of_mirror"), mirror_page.c.name > bindparam("after"))
    .order_by(mirror_page.c.name)
    .limit(bindparam("limit"))
)
_PUT = """INSERT INTO mirror_page (mirror_id, name, etag, last_modified, file_count, checked_at)
 VALUES (:mirror_id, :name, :etag, :last_modified, :file_count, :checked_at)
 ON CONFLICT (mirror_id, name) DO UPDATE SET etag = excluded.etag, last_modified = excluded.last_modified,
 file_count = excluded.file_count, checked_at = excluded.checked_at"""
_TOUCH = (
    update(mirror_page)
    .where(mirror_page.c.mirror_id == bindparam("of_mirror"), mirror_page.c.name == bindparam("of_name"))
    .values(checked_at=bindparam("at"))
)
_OUTDATE = (
    update(mirror_page)
    .where(mirror_page.c.mirror_id == bindparam("of_mirror"), any_of(mirror_page.c.name, "names"))
    .values(checked_at=0)
)
_DROP = delete(mirror_page).where(mirror_page.c.mirror_id == bindparam("of_mirror"))
_KNOWN = select(
    entry.c.id,
    entry.c.filename,
    entry.c.name,
    entry.c.source_hash,
    entry.c.mirror_id,
    entry.c.content_id.is_not(None),
    entry.c.origin_id,
).where(
    entry.c.channel_id == bindparam("channel_id"),
    entry.c.name == bindparam("of_name"),
    entry.c.partition == bindparam("partition"),
    entry.c.family == bindparam("family"),
)


class TakenPage(msgspec.Struct, frozen=True):
    """The listing of one name as last taken in completely."""

    mirror_id: int
    name: str
    etag: str | None
    last_modified: str | None
    file_count: int
    checked_at: int  #: microseconds: when the upstream was asked last, and answered


async def of_name(reader: Reader, mirror_ids: Sequence[int], name: str) -> dict[int, TakenPage]:
    """Return by mirror what was taken in of a name."""
    rows = await reader.fetch_all(_OF_NAME, ids=list(mirror_ids), of_name=name)
    return {row[0]: TakenPage(*row) for row in rows}


async def names(reader: Reader, mirror_id: int, after: str, limit: int) -> list[str]:
    """Return the next names above `after` of which anything was taken in."""
    return [row[0] for row in await reader.fetch_all(_NAMES, of_mirror=mirror_id, after=after, limit=limit)]


async def put(unit: Unit, page: TakenPage) -> None:
    """Note that a listing was taken in completely."""
    await unit.execute(_PUT, **{name: getattr(page, name) for name in TakenPage.__struct_fields__})


async def touch(unit: Unit, mirror_id: int, name: str) -> None:
    """Note that the upstream says what it said before."""
    await unit.execute(_TOUCH, of_mirror=mirror_id, of_name=name, at=unit.now)


async def outdate(unit: Unit, mirror_id: int, names: Collection[str]) -> bool:
    """Let the upstream be asked for names anew, whatever its validators say; False when it never had one of them."""
    return await unit.execute(_OUTDATE, of_mirror=mirror_id, names=list(names)) > 0


async def drop(unit: Unit, mirror_id: int) -> None:
    """Forget all of a mirror."""
    await unit.execute(_DROP, of_mirror=mirror_id)


async def known(reader: Reader, channel_id: int, family: str, partition: str, name: str) -> dict[str, Known]:
    """Return by file name everything a channel shows of one name in a partition, whoever brought it."""
    found = await reader.fetch_all(_KNOWN, channel_id=channel_id, family=family, partition=partition, of_name=name)
    return {row[1]: Known(*row) for row in found}
