"""The package changes of a channel: every file that came or left, and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    Table,
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


class _Kind(NamedTuple):
    """Rows that say that something happened to a file, and what of them says it."""

    action: str
    table: Table
    event_id: ColumnElement[int]
    cause: ColumnElement[str]
    at: ColumnElement[int]


# What has left is not among the entries any more: its removal says how it had come.
_KINDS = (
    _Kind("added", entry, entry.c.event_id, _ARRIVAL_CAUSE, entry.c.visible_at),
    _Kind("added", removal, removal.c.arrival_event_id, _ARRIVAL_CAUSE, removal.c.visible_at),
    _Kind("removed", removal, removal.c.event_id, removal.c.cause, removal.c.at),
)


async def package_changes(
    db: Database, channel_id: int, given: Mapping[str, str], *, limit: int, offset: int
) -> tuple[list[PackageChange], int]:
    """Return a page of changes, newest first, and how many there are; `given` narrows by `name` and `cause`."""
    rows, counts = _statements(frozenset(given))
    values = {"channel_id": channel_id, **given}
    # a channel that was mirrored has as many rows as files: never on the event loop
    page = await db.fetch_large(rows, limit=limit, offset=offset, **values) if limit else []
    total = sum([(await db.fetch_large(count, **values))[0][0] for count in counts])
    return [PackageChange(*row[:9]) for row in page], int(total)


@cache
def _statements(names: frozenset[str]) -> tuple[CompoundSelect[Any], list[Select[Any]]]:
    pages, counts = [], []
    for number, kind in enumerate(_KINDS):
        joined = kind.table.outerjoin(event, event.c.id == kind.event_id)
        where = [kind.table.c.channel_id == bindparam("channel_id")]
        where += [kind.table.c.name == bindparam("name")] if "name" in names else []
        where += [kind.cause == bindparam("cause")] if "cause" in names else []
        pages.append(_columns(kind, number).select_from(joined).where(*where))
        counts.append(select(func.count()).select_from(joined if "cause" in names else kind.table).where(*where))
    # in the order of an index of each, so that the database merges them and sorts nothing
    page = union_all(*pages).order_by(desc("event_id"), desc("row_id"), desc("kind"))
    return page.limit(bindparam("limit")).offset(bindparam("offset")), counts


def _columns(kind: _Kind, number: int) -> Select[Any]:
    return select(
        kind.event_id.label("event_id"),
        literal(kind.action).label("action"),
        *(kind.table.c[name] for name in ("family", "partition", "name", "filename")),
        kind.cause.label("cause"),
        event.c.actor,
        kind.at.label("at"),
        kind.table.c.id.label("row_id"),
        literal(number).label("kind"),
    )
