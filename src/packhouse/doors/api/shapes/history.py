"""What happened in a channel, on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.packages.package_changes import PackageChange
from packhouse.core.clock import to_iso
from packhouse.core.db import Row
from packhouse.doors.api.words import ChangeAction, ChangeCause


class EventShape(msgspec.Struct, kw_only=True):
    """One event of a channel's history."""

    event_id: int
    event_type: str
    created: str  #: RFC 3339
    data: dict[str, Any]
    meta: dict[str, Any]  #: `actor` (user name, `mirror:ID` or `system`) and `object`


class ChangeShape(msgspec.Struct, kw_only=True):
    """One file that came to a channel or left it."""

    event_id: int
    action: ChangeAction
    cause: ChangeCause
    family: str
    name: str
    ckey: str
    platform: str
    actor: str | None
    created: str  #: RFC 3339


def event_shape(row: Row, data: dict[str, Any]) -> EventShape:
    """Fill the shape of an event; `data` is what of it the caller may read."""
    return EventShape(
        event_id=row[0],
        event_type=row[2],
        created=to_iso(row[1]) or "",
        data=data,
        meta={"actor": row[3], "object": row[5]},
    )


def change_shape(change: PackageChange) -> ChangeShape:
    """Fill the shape of a package change."""
    return ChangeShape(
        event_id=change.event_id,
        action=change.action,
        cause=change.cause,
        family=change.family,
        name=change.name,
        ckey=f"{change.partition}/{change.filename}",
        platform=change.partition,
        actor=change.actor,
        created=to_iso(change.at) or "",
    )
