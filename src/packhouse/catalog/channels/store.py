"""Queries of channels."""

from __future__ import annotations

from sqlalchemy import bindparam, func, insert, null, select, update

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.schema import (
    binding,
    channel,
    channel_path,
    head,
    notice,
)
from packhouse.core.db import Row, Unit
from packhouse.core.db.base import Reader

_FIELDS = tuple(channel.c[name] for name in Channel.__struct_fields__)
_BY_PATH = select(*_FIELDS).where(channel.c.path == bindparam("path"))
_BY_ID = select(*_FIELDS).where(channel.c.id == bindparam("channel_id"), channel.c.path.is_not(None))
_HOLD = _BY_ID.with_for_update(read=True)
_HOLD_ALL = select(channel.c.id).where(channel.c.path.is_not(None)).order_by(channel.c.id).with_for_update()
_CHILDREN = (
    select(*_FIELDS)
    .where(channel.c.parent_id == bindparam("parent_id"), channel.c.path.is_not(None))
    .order_by(channel.c.path)
)
_INSERT = (
    insert(channel)
    .values(
        {
            name: bindparam(name)
            for name in ("path", "parent_id", "description", "privacy", "owner_id", "created_at", "updated_at")
        }
    )
    .returning(channel.c.id)
)
_INSERT_HEAD = insert(head).values(channel_id=bindparam("channel_id"), revision=0)
_ARRIVE = """INSERT INTO channel_path (path, channel_id, until_binding) VALUES (:path, :channel_id, NULL)
 ON CONFLICT (path, channel_id) DO UPDATE SET until_binding = NULL"""
_LEAVE = (
    update(channel_path)
    .where(channel_path.c.channel_id == bindparam("channel"), channel_path.c.until_binding.is_(None))
    .values(until_binding=select(func.coalesce(func.max(binding.c.id), 0)).scalar_subquery())
)
_INHERIT = """INSERT INTO channel_path (path, channel_id, until_binding)
 SELECT :path, channel_id, until_binding FROM channel_path
 WHERE path = :old AND channel_id <> :channel_id ON CONFLICT (path, channel_id) DO NOTHING"""
_RENAME = update(channel).where(channel.c.id == bindparam("channel_id_")).values(path=bindparam("new_path"))
_DELETE = (
    update(channel).where(channel.c.id == bindparam("channel_id_")).values(path=null(), deleted_at=bindparam("now"))
)
_EDIT = (
    update(channel)
    .where(channel.c.id == bindparam("channel_id_"))
    .values(description=bindparam("description_"), privacy=bindparam("privacy_"), updated_at=bindparam("now"))
)
_FREEZE = (
    update(channel)
    .where(channel.c.id == bindparam("channel_id_"))
    .values(frozen_at=bindparam("frozen"), frozen_revision=bindparam("revision"))
)
_NOTICES = (
    select(notice.c.id, notice.c.message, notice.c.level, notice.c.created_at, notice.c.expires_at)
    .where(notice.c.channel_id == bindparam("channel_id"))
    .order_by(notice.c.id)
)
_ADD_NOTICE = (
    insert(notice)
    .values({name: bindparam(name) for name in ("channel_id", "message", "level", "created_at", "expires_at")})
    .returning(notice.c.id)
)
_DROP_NOTICE = notice.delete().where(notice.c.channel_id == bindparam("channel_id"), notice.c.id == bindparam("id"))
_NOTICES_AT = select(func.coalesce(channel.c.notices_at, channel.c.created_at)).where(
    channel.c.id == bindparam("channel_id")
)
_CHANGE_NOTICES = update(channel).where(channel.c.id == bindparam("channel_id_")).values(notices_at=bindparam("now"))


async def by_path(reader: Reader, path: str) -> Channel | None:
    """Return the channel that stands at `path` now."""
    row = await reader.fetch_one(_BY_PATH, path=path)
    return Channel(*row) if row else None


async def by_id(reader: Reader, channel_id: int) -> Channel | None:
    """Return a channel that is not deleted."""
    row = await reader.fetch_one(_BY_ID, channel_id=channel_id)
    return Channel(*row) if row else None


async def hold(unit: Unit, channel_id: int) -> Channel | None:
    """Return a channel that is not deleted; nobody freezes, renames or deletes it before the unit has ended."""
    row = await unit.fetch_one(_HOLD, channel_id=channel_id)
    return Channel(*row) if row else None


async def hold_all(unit: Unit) -> None:
    """Let nobody change any channel, nor what is in one, before the unit has ended; what began before has ended."""
    await unit.fetch_all(_HOLD_ALL)


async def children(reader: Reader, parent_id: int) -> list[Channel]:
    """Return the subchannels, by path."""
    return [Channel(*row) for row in await reader.fetch_all(_CHILDREN, parent_id=parent_id)]


async def insert_channel(
    unit: Unit, path: str, parent_id: int | None, description: str, privacy: str, owner: int
) -> int:
    """Create the row, its head at revision 0 and its place; return the id. The path must be free."""
    channel_id = int(
        await unit.fetch_value(
            _INSERT,
            path=path,
            parent_id=parent_id,
            description=description,
            privacy=privacy,
            owner_id=owner,
            created_at=unit.now,
            updated_at=unit.now,
        )
    )
    await unit.execute(_INSERT_HEAD, channel_id=channel_id)
    await unit.execute(_ARRIVE, path=path, channel_id=channel_id)
    return channel_id


async def rename(unit: Unit, channel_id: int, old: str, new: str) -> None:
    """Move to another path; what was bound under the old one stays bound there, and comes along as well."""
    await unit.execute(_LEAVE, channel=channel_id)
    await unit.execute(_RENAME, channel_id_=channel_id, new_path=new)
    await unit.execute(_ARRIVE, path=new, channel_id=channel_id)
    await unit.execute(_INHERIT, path=new, old=old, channel_id=channel_id)


async def mark_deleted(unit: Unit, channel_id: int) -> None:
    """Take the channel out of sight; its bindings keep holding at its path."""
    await unit.execute(_LEAVE, channel=channel_id)
    await unit.execute(_DELETE, channel_id_=channel_id, now=unit.now)


async def edit(unit: Unit, channel_id: int, description: str, privacy: str) -> None:
    """Set description and privacy."""
    await unit.execute(_EDIT, channel_id_=channel_id, description_=description, privacy_=privacy, now=unit.now)


async def set_frozen(unit: Unit, channel_id: int, at: int | None, revision: int | None = None) -> None:
    """Pin the published index to a revision (at a time), or release it (None)."""
    await unit.execute(_FREEZE, channel_id_=channel_id, frozen=at, revision=revision)


async def notices(reader: Reader, channel_id: int) -> list[Row]:
    """Return (id, message, level, created_at, expires_at) of each notice, oldest first."""
    return await reader.fetch_all(_NOTICES, channel_id=channel_id)


async def notices_at(reader: Reader, channel_id: int) -> int:
    """Return when the notices were changed last (µs): added or removed; that of the channel's beginning before."""
    return int(await reader.fetch_value(_NOTICES_AT, channel_id=channel_id) or 0)


async def add_notice(unit: Unit, channel_id: int, message: str, level: str, expires_at: int | None) -> int:
    """Add a notice and return its id."""
    await unit.execute(_CHANGE_NOTICES, channel_id_=channel_id, now=unit.now)
    return int(
        await unit.fetch_value(
            _ADD_NOTICE, channel_id=channel_id, message=message, level=level, created_at=unit.now, expires_at=expires_at
        )
    )


async def drop_notice(unit: Unit, channel_id: int, notice_id: int) -> bool:
    """Remove a notice; return whether it was there."""
    await unit.execute(_CHANGE_NOTICES, channel_id_=channel_id, now=unit.now)
    return await unit.execute(_DROP_NOTICE, channel_id=channel_id, id=notice_id) > 0
