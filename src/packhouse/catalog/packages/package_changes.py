"""The package changes of a channel: every file that came or left, and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    bindparam,
    case,
    desc,
    func,
    literal,
    or_,
    select,
    union_all,
)

from packhouse.catalog.schema import entry, event, removal
from packhouse.core.db import Database

CAUSES = ("upload", "mirror", "copy", "removal", "policy")


class PackageChange(msgspec.Struct, frozen=True):
    """One file that came to a channel or left it; the time in microseconds since the epoch."""

    event_id: int
    row_id: int
    action: str  #: added | removed
    family: str
    partition: str
    name: str
    filename: str
    cause: str  #: one of CAUSES
    actor: str | None
    at: int


# An arrival's cause is the kind of its event; mirrors write several kinds.
_ARRIVAL_CAUSE: ColumnElement[str] = case(
    (or_(event.c.type == "artifact_copied", event.c.type == "artifact_moved"), literal("copy")),
    (event.c.type.like("mirror%"), literal("mirror")),
    else_=literal("upload"),
)
_WHERE: dict[str, tuple[ColumnElement[bool], ColumnElement[bool]]] = {
    "name": (entry.c.name == bindparam("name"), removal.c.name == bindparam("name")),
    "cause": (bindparam("cause") == _ARRIVAL_CAUSE, removal.c.cause == bindparam("cause")),
}


async def package_changes(
    db: Database, channel_id: int, given: Mapping[str, str], *, limit: int, offset: int
) -> tuple[list[PackageChange], int]:
    """Return a page of changes, newest first, and how many there are; `given` narrows by `name` and `cause`."""
    rows, counts = _statements(frozenset(given))
    values = {"channel_id": channel_id, **given}
    # a channel that was mirrored has as many rows as files: never on the event loop
    page = await db.fetch_large(rows, limit=limit, offset=offset, **values) if limit else []
    total = sum([(await db.fetch_large(count, **values))[0][0] for count in counts])
    return [PackageChange(*row) for row in page], int(total)


@cache
def _statements(names: frozenset[str]) -> tuple[CompoundSelect[Any], tuple[Select[Any], Select[Any]]]:
    came = entry.join(event, event.c.id == entry.c.event_id)
    left = removal.outerjoin(event, event.c.id == removal.c.event_id)
    came_where = [entry.c.channel_id == bindparam("channel_id"), *(_WHERE[name][0] for name in names)]
    left_where = [removal.c.channel_id == bindparam("channel_id"), *(_WHERE[name][1] for name in names)]
    arrivals = _columns(entry, "added", _ARRIVAL_CAUSE, entry.c.visible_at).select_from(came).where(*came_where)
    departures = _columns(removal, "removed", removal.c.cause, removal.c.at).select_from(left).where(*left_where)
    both = union_all(arrivals, departures).order_by(desc("event_id"), desc("row_id"))
    counted = came if "cause" in names else entry
    return both.limit(bindparam("limit")).offset(bindparam("offset")), (
        select(func.count()).select_from(counted).where(*came_where),
        select(func.count()).select_from(removal).where(*left_where),
    )


def _columns(source: Any, action: str, cause: ColumnElement[Any], at: ColumnElement[Any]) -> Select[Any]:
    return select(
        source.c.event_id.label("event_id"),
        source.c.id.label("row_id"),
        literal(action).label("action"),
        *(source.c[name] for name in ("family", "partition", "name", "filename")),
        cause.label("cause"),
        event.c.actor,
        at.label("at"),
    )
