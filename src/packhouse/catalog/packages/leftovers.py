"""Queries of the sweep: contents, records and parts that nothing refers to any more.

A content goes in two phases: doomed, and after the grace period deleted, unless an upload rescued it.
Records and parts are rows only, so one unit of work that looks again before it deletes is enough; on PostgreSQL the
foreign keys refuse whoever comes too late, and his unit is run again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select, update

from packhouse.catalog.judgement_tables import overlay, verdict
from packhouse.catalog.schema import content, entry, part, record, record_body, shelf
from packhouse.catalog.signing import signatures
from packhouse.core.db import Database, Row, Unit, any_of

_OWNED = select(entry.c.id).where(entry.c.content_id == content.c.id).exists()
_UNOWNED = (
    select(content.c.id, content.c.size)
    .where(
        content.c.id > bindparam("after"),
        content.c.doomed_at.is_(None),
        content.c.created_at < bindparam("before"),
        ~_OWNED,
    )
    .order_by(content.c.id)
    .limit(bindparam("limit"))
)
_DOOM = (
    update(content)
    .where(any_of(content.c.id, "ids"), content.c.doomed_at.is_(None), ~_OWNED)
    .where(content.c.created_at < bindparam("before"))
    .values(doomed_at=bindparam("now"))
)
_PARDONABLE = select(content.c.id).where(content.c.doomed_at.is_not(None), content.c.deleting.is_(False), _OWNED)
_PARDON = update(content).where(any_of(content.c.id, "ids"), content.c.deleting.is_(False), _OWNED)
_PARDON = _PARDON.values(doomed_at=None)
# Bytes without a row, as a crash leaves them. The row makes them content nobody owns; an upload of the same bytes
# rescues it and fills in the facts.
_ADOPT = """INSERT INTO content (sha256, md5, size, facts, created_at, doomed_at)
 VALUES (:sha256, :md5, :size, '', :now, :now) ON CONFLICT (sha256) DO NOTHING"""
_DUE = (
    select(content.c.id, content.c.sha256, content.c.size)
    .where(content.c.id > bindparam("after"), content.c.doomed_at < bindparam("before"), ~_OWNED)
    .order_by(content.c.id)
    .limit(bindparam("limit"))
)
_TAKE = (
    update(content)
    .where(any_of(content.c.id, "ids"), content.c.doomed_at < bindparam("before"), ~_OWNED)
    .values(deleting=True)
    .returning(content.c.id, content.c.sha256, content.c.size)
)
_DROP_CONTENTS = delete(content).where(any_of(content.c.id, "ids"), content.c.deleting.is_(True))
# Ids may be given again (SQLite): a verdict must not outlive what it was passed on.
_DROP_CONTENT_VERDICTS = delete(verdict).where(any_of(verdict.c.content_id, "ids"), verdict.c.content_id != 0)
_DOOMED = select(func.count(), func.coalesce(func.sum(content.c.size), 0)).where(content.c.doomed_at.is_not(None))

# A record without an entry may belong to a mirror run that has not come to its entries yet. Ids grow, so one below
# that of a record in an entry from before the grace period is as old as that.
_OLD_RECORD = select(func.coalesce(func.max(entry.c.record_id), 0)).where(entry.c.visible_at < bindparam("before"))
_USED = select(entry.c.id).where(entry.c.record_id == record.c.id).exists()
_UNUSED = (
    select(record.c.id, func.length(record_body.c.json) + func.length(record_body.c.packed))
    .outerjoin_from(record, record_body, record_body.c.record_id == record.c.id)
    .where(record.c.id > bindparam("after"), record.c.id < bindparam("below"), ~_USED)
    .order_by(record.c.id)
    .limit(bindparam("limit"))
)
_LOCK_RECORDS = select(record.c.id).where(any_of(record.c.id, "ids"))
_LOCK_RECORDS = _LOCK_RECORDS.order_by(record.c.id).with_for_update(skip_locked=True)
_STILL_UNUSED = select(record.c.id).where(any_of(record.c.id, "ids"), ~_USED)
_DROP_RECORDS = (
    delete(verdict).where(any_of(verdict.c.record_id, "ids")),
    delete(overlay).where(any_of(overlay.c.record_id, "ids")),
    delete(record_body).where(any_of(record_body.c.record_id, "ids")),
    delete(record).where(any_of(record.c.id, "ids")),
)

_SHOWN = select(shelf.c.part_id).where(shelf.c.part_id == part.c.id).exists()
_UNSHELVED = (
    select(part.c.id, func.length(part.c.shard) + func.length(part.c.fragment))
    .where(part.c.id > bindparam("after"), ~_SHOWN)
    .order_by(part.c.id)
    .limit(bindparam("limit"))
)
_LOCK_PARTS = select(part.c.id).where(any_of(part.c.id, "ids")).order_by(part.c.id).with_for_update(skip_locked=True)
_STILL_UNSHELVED = select(part.c.id).where(any_of(part.c.id, "ids"), ~_SHOWN)
_DROP_PARTS = delete(part).where(any_of(part.c.id, "ids"))


async def unowned(db: Database, after: int, before: int, limit: int) -> list[Row]:
    """Return the next (id, size) of contents nobody owns, created before a time and not doomed yet."""
    return await db.fetch_large(_UNOWNED, after=after, before=before, limit=limit)


async def doom(unit: Unit, ids: Sequence[int], before: int) -> int:
    """First phase: mark those that still nobody owns; return how many."""
    return await unit.execute(_DOOM, ids=list(ids), before=before, now=unit.now)


async def pardonable(db: Database) -> list[int]:
    """Return doomed contents that have an owner again, for example by a copy."""
    return [row[0] for row in await db.fetch_large(_PARDONABLE)]


async def pardon(unit: Unit, ids: Sequence[int]) -> None:
    """Take contents with an owner off the list."""
    await unit.execute(_PARDON, ids=list(ids))


async def adopt(unit: Unit, blobs: Sequence[tuple[str, int]]) -> None:
    """Give blobs (SHA-256 in hex, size) that have no row a doomed one; an upload that was faster wins."""
    rows = [{"sha256": bytes.fromhex(name), "md5": b"", "size": size, "now": unit.now} for name, size in blobs]
    await unit.execute_many(_ADOPT, rows)


async def due(db: Database, after: int, before: int, limit: int) -> list[Row]:
    """Return the next (id, sha256, size) of contents doomed before a time."""
    return await db.fetch_large(_DUE, after=after, before=before, limit=limit)


async def take(unit: Unit, ids: Sequence[int], before: int) -> list[Row]:
    """Second phase: nobody may rescue the (id, sha256, size) returned; what was rescued meanwhile is not among them."""
    return await unit.fetch_all(_TAKE, ids=list(ids), before=before)


async def forget_contents(unit: Unit, ids: Sequence[int]) -> None:
    """Drop the rows of contents whose bytes are gone."""
    await unit.execute(_DROP_CONTENT_VERDICTS, ids=list(ids))
    await unit.execute(_DROP_CONTENTS, ids=list(ids))


async def doomed_total(db: Database) -> tuple[int, int]:
    """Return how many contents are doomed, and their bytes."""
    row = await db.fetch_one(_DOOMED)
    return (int(row[0]), int(row[1])) if row else (0, 0)


async def unused_records(db: Database, after: int, before: int, limit: int) -> list[Row]:
    """Return the next (id, bytes) of records older than a time that no entry shows."""
    below = int((await db.fetch_large(_OLD_RECORD, before=before))[0][0])
    return await db.fetch_large(_UNUSED, after=after, below=below, limit=limit)


async def drop_records(unit: Unit, ids: Sequence[int]) -> int:
    """Delete those records that still no entry shows, with their verdicts; return how many."""
    locked = [row[0] for row in await unit.fetch_all(_LOCK_RECORDS, ids=list(ids))]
    free = [row[0] for row in await unit.fetch_all(_STILL_UNUSED, ids=locked)]
    await signatures.drop(unit, free)
    for statement in _DROP_RECORDS:
        await unit.execute(statement, ids=free)
    return len(free)


async def unshelved_parts(db: Database, after: int, limit: int) -> list[Row]:
    """Return the next (id, bytes) of parts that no shelf shows or ever showed."""
    return await db.fetch_large(_UNSHELVED, after=after, limit=limit)


async def drop_parts(unit: Unit, ids: Sequence[int]) -> int:
    """Delete those parts that are still on no shelf; return how many."""
    locked = [row[0] for row in await unit.fetch_all(_LOCK_PARTS, ids=list(ids))]
    free = [row[0] for row in await unit.fetch_all(_STILL_UNSHELVED, ids=locked)]
    await unit.execute(_DROP_PARTS, ids=free)
    return len(free)
