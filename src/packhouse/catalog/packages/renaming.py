"""What a rename would bring together: a channel's files, and those that its new path was bound to by others."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, or_, select, union

from packhouse.catalog.schema import binding, channel_path, entry, record
from packhouse.core.db import Unit

#: of so many clashes a refusal names the coordinates
NAMED = 5

_OTHERS = (
    select(channel_path.c.channel_id)
    .where(channel_path.c.path == bindparam("path"), channel_path.c.channel_id != bindparam("channel_id"))
    .limit(1)
)
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


async def clashes(unit: Unit, channel_id: int, path: str) -> list[str]:
    """Return the first `<partition>/<filename>` that `path` is bound to with other bytes than the channel's (I3).

    What this very channel bound there earlier is its own. A new name where nobody stood costs one look-up; else the
    files of the channel are compared, about two seconds for a million.
    """
    if await unit.fetch_one(_OTHERS, channel_id=channel_id, path=path) is None:
        return []
    return [row[0] for row in await unit.fetch_all(_CLASHES, channel_id=channel_id, path=path)]
