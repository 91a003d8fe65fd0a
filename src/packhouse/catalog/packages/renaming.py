"""What a rename would bring together: a channel's files, and those that its new path was bound to by others.

A million files are compared before the unit that renames; the unit only asks whether anything has changed since.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import and_, bindparam, func, or_, select, union

from packhouse.catalog import changes
from packhouse.catalog.schema import binding, change, channel_path, entry, record
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader

#: of so many clashes a refusal names the coordinates
NAMED = 5

_THERE = binding.alias("there")
_COUNTS_THERE = and_(
    channel_path.c.path == bindparam("path"),
    channel_path.c.channel_id != bindparam("channel_id"),
    or_(channel_path.c.until_binding.is_(None), channel_path.c.until_binding >= _THERE.c.id),
)
_STOOD_THERE = channel_path.join(_THERE, _THERE.c.channel_id == channel_path.c.channel_id)
_BOUND = (
    select((binding.c.partition + "/" + binding.c.filename).label("ckey"))
    .select_from(
        _STOOD_THERE.join(
            binding,
            and_(
                binding.c.channel_id == bindparam("channel_id"),
                *(binding.c[name] == _THERE.c[name] for name in ("family", "partition", "filename")),
            ),
        )
    )
    .where(_COUNTS_THERE, binding.c.sha256 != _THERE.c.sha256)
)
# What a mirror only promises is not bound yet, but clients see its hash in the index; without one nothing is known.
_PROMISED = (
    select((entry.c.partition + "/" + entry.c.filename).label("ckey"))
    .select_from(
        _STOOD_THERE.join(
            entry,
            and_(
                entry.c.channel_id == bindparam("channel_id"),
                *(entry.c[name] == _THERE.c[name] for name in ("family", "partition", "filename")),
            ),
        ).join(record, record.c.id == entry.c.record_id)
    )
    .where(_COUNTS_THERE, entry.c.content_id.is_(None), record.c.claimed_sha256 != _THERE.c.sha256)
)
_CLASHES = union(_BOUND, _PROMISED).order_by("ckey").limit(NAMED)


_CHANGES = select(func.count()).where(
    change.c.seq > bindparam("after"), change.c.channel_id == bindparam("channel_id"), change.c.kind == "entry"
)
_PLACES = (
    select(channel_path.c.channel_id, channel_path.c.until_binding)
    .where(channel_path.c.path == bindparam("path"), channel_path.c.channel_id != bindparam("channel_id"))
    .order_by(channel_path.c.channel_id)
)


class Compared(msgspec.Struct, frozen=True):
    """What a rename to a path would clash with, as long as `holds` says so."""

    after: int  #: of the list of changes, since when
    changes: int  #: how many there were when it was compared
    places: list[tuple[int, int | None]]  #: who stood at the path: (channel, its last binding there)
    clashes: list[str]  #: the first `<partition>/<filename>` that are bound to other bytes there than the channel's


async def compare(db: Database, channel_id: int, path: str) -> Compared:
    """Compare the files of a channel with what others bound at `path` (I3); about two seconds for a million.

    What this very channel bound there earlier is its own. Where nobody stood it costs three look-ups.
    """
    after = max(await changes.last(db) - changes.LOOK_BACK, 0)  # a unit that is under way has a later number
    number = await db.fetch_value(_CHANGES, channel_id=channel_id, after=after)
    places = await _places(db, channel_id, path)
    rows = await db.fetch_large(_CLASHES, channel_id=channel_id, path=path) if places else []
    return Compared(after, number, places, [row[0] for row in rows])


async def holds(unit: Unit, channel_id: int, path: str, compared: Compared) -> bool:
    """Whether nothing came to the channel since, nor to the path. The unit has the channel locked against both."""
    if await _places(unit, channel_id, path) != compared.places:
        return False
    if not compared.places:
        return True
    return bool(await unit.fetch_value(_CHANGES, channel_id=channel_id, after=compared.after) == compared.changes)


async def _places(reader: Reader, channel_id: int, path: str) -> list[tuple[int, int | None]]:
    return [(row[0], row[1]) for row in await reader.fetch_all(_PLACES, channel_id=channel_id, path=path)]
