"""Queries of `verify`: what must hold between entries, contents, records, bindings and events.

Each question is one statement, so that a live server cannot come in between; and each looks at a range of ids or a
page of keys, so that none runs long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Table, and_, bindparam, func, or_, select

from packhouse.catalog.schema import binding, channel, channel_path, content, entry, event, mirror, record, removal
from packhouse.core.db import Database, Row, Unit
from packhouse.core.db.base import Reader

#: ids looked at per statement
SPAN = 50_000

_PLACE = func.coalesce(channel.c.path, "(deleted channel)") + "/" + entry.c.partition + "/" + entry.c.filename
_ACTIVE = entry.join(content, content.c.id == entry.c.content_id).outerjoin(channel, channel.c.id == entry.c.channel_id)


def _range(table: Table) -> Any:
    return and_(table.c.id > bindparam("after"), table.c.id <= bindparam("until"))


# A null claim makes its comparison null, which is no disagreement.
_CLAIMS = (
    select(_PLACE, content.c.sha256)
    .select_from(_ACTIVE.join(record, record.c.id == entry.c.record_id))
    .where(
        _range(entry),
        or_(
            record.c.size != content.c.size,
            record.c.claimed_sha256 != content.c.sha256,
            record.c.claimed_md5 != content.c.md5,
        ),
    )
)
_HERE = and_(
    binding.c.family == entry.c.family,
    binding.c.partition == entry.c.partition,
    binding.c.filename == entry.c.filename,
)
_UNBOUND = (
    select(_PLACE, content.c.sha256, binding.c.sha256)
    .select_from(_ACTIVE.outerjoin(binding, and_(binding.c.channel_id == entry.c.channel_id, _HERE)))
    .where(_range(entry), or_(binding.c.sha256.is_(None), binding.c.sha256 != content.c.sha256))
)
_EARLIER = (
    select(_PLACE, content.c.sha256, binding.c.sha256)
    .select_from(
        _ACTIVE.join(
            channel_path, and_(channel_path.c.path == channel.c.path, channel_path.c.channel_id != channel.c.id)
        ).join(binding, and_(binding.c.channel_id == channel_path.c.channel_id, _HERE))
    )
    .where(
        _range(entry),
        or_(channel_path.c.until_binding.is_(None), channel_path.c.until_binding >= binding.c.id),
        binding.c.sha256 != content.c.sha256,
    )
)
_CAUSELESS = {
    table.name: select(table.c.partition + "/" + table.c.filename, table.c.event_id)
    .select_from(table.outerjoin(event, event.c.id == table.c.event_id))
    .where(_range(table), event.c.id.is_(None))
    for table in (entry, removal)
}
_WITHOUT_SOURCE = (
    select(_PLACE)
    .select_from(
        entry.join(channel, channel.c.id == entry.c.channel_id).outerjoin(mirror, mirror.c.id == entry.c.mirror_id)
    )
    .where(
        _range(entry),
        channel.c.path.is_not(None),
        entry.c.content_id.is_(None),
        entry.c.origin_id.is_(None),
        or_(mirror.c.id.is_(None), mirror.c.state == "deleted"),
    )
)
_LAST = {table.name: select(func.coalesce(func.max(table.c.id), 0)) for table in (entry, removal)}

_OWNED = select(entry.c.id).where(entry.c.content_id == content.c.id).exists()
_CONTENTS = (
    select(content.c.sha256, content.c.md5, content.c.size, _OWNED)
    .where(content.c.sha256 > bindparam("after"), content.c.deleting.is_(False))
    .order_by(content.c.sha256)
    .limit(bindparam("limit"))
)
_STILL_KEPT = select(_OWNED).where(content.c.sha256 == bindparam("sha256"), content.c.deleting.is_(False))

# What full-text search knows on SQLite; on PostgreSQL it is an index, which the database keeps by itself.
_UNSEARCHABLE = """SELECT count(*) FROM package LEFT JOIN package_search_docsize AS known ON known.id = package.id
 WHERE known.id IS NULL"""
_SEARCHABLE_ONLY = """SELECT count(*) FROM package_search_docsize AS known
 LEFT JOIN package ON package.id = known.id WHERE package.id IS NULL"""
_REBUILD_SEARCH = "INSERT INTO package_search (package_search) VALUES ('rebuild')"


async def _ranges(db: Database, table: str) -> AsyncIterator[dict[str, int]]:
    last = int(await db.fetch_value(_LAST[table]))
    for after in range(0, last, SPAN):
        yield {"after": after, "until": after + SPAN}


async def false_claims(db: Database) -> AsyncIterator[Row]:
    """Yield (place, SHA-256) of active entries whose record claims another size or hash than the content has."""
    async for ids in _ranges(db, "entry"):
        for row in await db.fetch_large(_CLAIMS, **ids):
            yield row


async def without_source(db: Database) -> AsyncIterator[str]:
    """Yield the places of files that were never fetched and say no more where from."""
    async for ids in _ranges(db, "entry"):
        for row in await db.fetch_large(_WITHOUT_SOURCE, **ids):
            yield row[0]


async def other_bindings(db: Database) -> AsyncIterator[Row]:
    """Yield (place, SHA-256 held, SHA-256 bound or None) of active entries not bound to what they show."""
    async for ids in _ranges(db, "entry"):
        for statement in (_UNBOUND, _EARLIER):
            for row in await db.fetch_large(statement, **ids):
                yield row


async def without_cause(db: Database, table: str) -> AsyncIterator[Row]:
    """Yield (place, event id) of rows of `entry` or `removal` whose audit event does not exist."""
    async for ids in _ranges(db, table):
        for row in await db.fetch_large(_CAUSELESS[table], **ids):
            yield row


async def contents_after(db: Database, after: bytes, limit: int) -> list[Row]:
    """Return the next (sha256, md5, size, owned) in ascending order of SHA-256, but what is being deleted."""
    return await db.fetch_large(_CONTENTS, after=after, limit=limit)


async def is_kept(reader: Reader, sha256: bytes) -> bool:
    """Tell whether a content has this hash and is not being deleted."""
    return await reader.fetch_one(_STILL_KEPT, sha256=sha256) is not None


async def search_gaps(db: Database) -> int:
    """Return how many packages the search index misses, or knows though they are gone."""
    if db.dialect != "sqlite":
        return 0
    return sum([(await db.fetch_large(statement))[0][0] for statement in (_UNSEARCHABLE, _SEARCHABLE_ONLY)])


async def rebuild_search(unit: Unit) -> None:
    """Make the search index anew. The one unit that grows with the installation: 1 s for 300,000 packages."""
    await unit.execute(_REBUILD_SEARCH)
