"""Queries of the channel verbs: locks, and the clearing of what a deleted channel leaves behind."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, delete, null, select, tuple_, update

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.notifications.tables import delivery, digest, silent_channel, subscription, webhook
from packhouse.catalog.people_tables import channel_grant, group_grant, token_grant
from packhouse.catalog.schema import (
    channel,
    dirty,
    download,
    entry,
    head,
    mirror,
    notice,
    package,
    removal,
    revision,
    shelf,
)
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader

_LOCK = (
    select(*(channel.c[name] for name in Channel.__struct_fields__))
    .where(channel.c.id == bindparam("channel_id"), channel.c.path.is_not(None))
    .with_for_update()
)
_END_MIRRORS = (
    update(mirror)
    .where(mirror.c.channel_id == bindparam("of_channel"), mirror.c.deleted_at.is_(None))
    .values(state="deleting", deleted_at=bindparam("now"), next_run_at=null())
)
# its head goes last: a deleted channel that still has one is not cleared yet
_TO_CLEAR = (
    select(channel.c.id)
    .join(head, head.c.channel_id == channel.c.id)
    .where(channel.c.deleted_at.is_not(None))
    .order_by(channel.c.id)
)
_DROP_HEAD = delete(head).where(head.c.channel_id == bindparam("of_channel"))


_HERE: BindParameter[int] = bindparam("of_channel")


def _some_of(table: Table) -> Any:
    """Delete up to `most` rows of a channel."""
    keys = list(table.primary_key.columns)
    chosen = select(*keys).where(table.c.channel_id == _HERE).limit(bindparam("most"))
    if len(keys) == 1:
        return delete(table).where(keys[0].in_(chosen))
    return delete(table).where(tuple_(*keys).in_(chosen))


#: in this order; bindings and paths stay for ever, events are history
_CLEARED = [
    *(_some_of(table) for table in (entry, download, dirty, shelf, package, removal, revision, notice)),
    *(_some_of(table) for table in (channel_grant, group_grant, token_grant)),
    *(_some_of(table) for table in (delivery, digest, webhook, subscription, silent_channel)),
]


async def lock(unit: Unit, channel_id: int) -> Channel | None:
    """Return a channel that nobody else changes until this unit has ended; None when it is gone."""
    row = await unit.fetch_one(_LOCK, channel_id=channel_id)
    return Channel(*row) if row else None


async def end_mirrors(unit: Unit, channel_id: int) -> None:
    """Delete the mirrors of a channel: none of them runs again; what becomes of their rows is seen to elsewhere."""
    await unit.execute(_END_MIRRORS, of_channel=channel_id, now=unit.now)


async def waiting_for_clearing(reader: Reader) -> list[int]:
    """Return the deleted channels that still own rows."""
    return [row[0] for row in await reader.fetch_all(_TO_CLEAR)]


async def clear_some(unit: Unit, channel_id: int, most: int) -> bool:
    """Delete up to `most` rows of a deleted channel; return whether more may be left."""
    for statement in _CLEARED:
        if await unit.execute(statement, of_channel=channel_id, most=most):
            return True
    await unit.execute(_DROP_HEAD, of_channel=channel_id)
    return False
