"""A channel's history as one caller may read it: an event can name another channel, which may be none of theirs."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.audit import store as audit
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.channels.listing import visible_paths
from packhouse.catalog.rights.permissions import Decision, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_of
from packhouse.core.db import Database, Row

#: members of an event's data that hold the path of another channel
PATHS = ("from", "to")
#: members that tell of the network behind a mirror, for those who may see mirrors
_OF_MIRRORS = frozenset({"source", "reason", "mirror_id"})


async def channel_history(
    db: Database, caller: Principal, channel: Channel, *, limit: int, offset: int
) -> tuple[list[tuple[Row, dict[str, Any]]], int]:
    """Return a page of (event row, its readable data), newest first, and how many events there are."""
    rows, total = await audit.history(db, channel.id, limit, offset)
    read = [(row, msgspec.json.decode(row[6], type=dict[str, Any])) for row in rows]
    named = {data[key] for _, data in read for key in PATHS if isinstance(data.get(key), str)}
    visible = await visible_paths(db, caller, named)
    hidden = frozenset() if await _sees_mirrors(db, caller, channel) else _OF_MIRRORS
    return [
        (
            _seen_from(channel, row, data),
            {k: v for k, v in data.items() if k not in hidden and (k not in PATHS or v in visible)},
        )
        for row, data in read
    ], total


async def _sees_mirrors(db: Database, caller: Principal, channel: Channel) -> bool:
    return permit(caller, "channel.mirror:view", await target_of(db, caller, channel)) is Decision.ALLOWED


def _seen_from(channel: Channel, row: Row, data: dict[str, Any]) -> Row:
    """Return the row of an event; that of a move to another channel is about what stood here."""
    if row[4] == channel.id:
        return row
    place = "/".join(data[key] for key in ("from", "ckey") if key in data)
    return (*row[:5], place, *row[6:])
