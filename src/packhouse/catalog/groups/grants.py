"""Queries of what channels are shared with: groups and single people, each at a level."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, func, or_, select

from packhouse.catalog.people_tables import account, channel_grant, group_grant, group_member, user_group
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, viewer
from packhouse.catalog.schema import channel
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader

_MINE = user_group.c.id.in_(select(group_member.c.group_id).where(group_member.c.account_id == bindparam("account_id")))
#: null where the group is no channel's
_OWNERS = user_group.c.channel_id == group_grant.c.channel_id
_GROUPS: Select[Any] = (
    select(user_group.c.name, group_grant.c.level, _OWNERS.label("owners"))
    .join(user_group, user_group.c.id == group_grant.c.group_id)
    .where(group_grant.c.channel_id == bindparam("channel_id"), or_(bindparam("everything") == 1, _MINE))
)
_USERS: Select[Any] = (
    select(account.c.username, channel_grant.c.level)
    .join(account, account.c.id == channel_grant.c.user_id)
    .where(
        channel_grant.c.channel_id == bindparam("channel_id"),
        or_(bindparam("everything") == 1, account.c.id == bindparam("account_id")),
    )
)
_CHANNELS: Select[Any] = (
    select(channel.c.path, group_grant.c.level)
    .join(channel, channel.c.id == group_grant.c.channel_id)
    .where(group_grant.c.group_id == bindparam("group_id"), VISIBLE)
)
_SET_GROUP = """INSERT INTO group_grant (channel_id, group_id, level) VALUES (:channel_id, :other_id, :level)
 ON CONFLICT (channel_id, group_id) DO UPDATE SET level = excluded.level"""
_SET_USER = """INSERT INTO channel_grant (channel_id, user_id, level) VALUES (:channel_id, :other_id, :level)
 ON CONFLICT (channel_id, user_id) DO UPDATE SET level = excluded.level"""
_DROP_GROUP = delete(group_grant).where(
    group_grant.c.channel_id == bindparam("of_channel"), group_grant.c.group_id == bindparam("other")
)
_DROP_USER = delete(channel_grant).where(
    channel_grant.c.channel_id == bindparam("of_channel"), channel_grant.c.user_id == bindparam("other")
)
_OF_GROUP = select(group_grant.c.level).where(
    group_grant.c.channel_id == bindparam("channel_id"), group_grant.c.group_id == bindparam("other_id")
)
_OF_USER = select(channel_grant.c.level).where(
    channel_grant.c.channel_id == bindparam("channel_id"), channel_grant.c.user_id == bindparam("other_id")
)


class Shared(NamedTuple):
    """With whom a channel is shared."""

    name: str  #: of the group or user
    level: int
    owners: bool = False  #: it is the group of the channel's owners


async def page_of_groups(
    reader: Reader, principal: Principal, channel_id: int, *, everything: bool, limit: int, offset: int
) -> tuple[list[Shared], int]:
    """Return the groups a channel is shared with, by name, and how many: all, or only those the caller is in."""
    values = {"channel_id": channel_id, "account_id": principal.account_id or 0, "everything": int(everything)}
    rows = await reader.fetch_all(_GROUP_PAGE, limit=limit, offset=offset, **values) if limit else []
    found = [Shared(row[0], row[1], bool(row[2])) for row in rows]
    return found, int(await reader.fetch_value(_GROUP_COUNT, **values))


async def page_of_users(
    reader: Reader, principal: Principal, channel_id: int, *, everything: bool, limit: int, offset: int
) -> tuple[list[Shared], int]:
    """Return the people and service accounts a channel is shared with, by name, and how many: all, or the caller."""
    values = {"channel_id": channel_id, "account_id": principal.account_id or 0, "everything": int(everything)}
    rows = await reader.fetch_all(_USER_PAGE, limit=limit, offset=offset, **values) if limit else []
    return [Shared(row[0], row[1]) for row in rows], int(await reader.fetch_value(_USER_COUNT, **values))


async def page_of_channels(
    reader: Reader, principal: Principal, group_id: int, *, limit: int, offset: int
) -> tuple[list[Shared], int]:
    """Return the channels that a group reaches, as far as the caller may see them, by path, and how many."""
    values = {"group_id": group_id, **viewer(principal)}
    rows = await reader.fetch_all(_CHANNEL_PAGE, limit=limit, offset=offset, **values) if limit else []
    return [Shared(row[0], row[1]) for row in rows], int(await reader.fetch_value(_CHANNEL_COUNT, **values))


async def of_group(reader: Reader, channel_id: int, group_id: int) -> int:
    """Return the level a group was given on a channel; 0: none."""
    return int(await reader.fetch_value(_OF_GROUP, channel_id=channel_id, other_id=group_id) or 0)


async def of_user(reader: Reader, channel_id: int, account_id: int) -> int:
    """Return the level somebody was given on a channel themselves; 0: none."""
    return int(await reader.fetch_value(_OF_USER, channel_id=channel_id, other_id=account_id) or 0)


async def set_group(unit: Unit, channel_id: int, group_id: int, level: int) -> None:
    """Share a channel with a group; level 0: no longer."""
    if level:
        await unit.execute(_SET_GROUP, channel_id=channel_id, other_id=group_id, level=level)
    else:
        await unit.execute(_DROP_GROUP, of_channel=channel_id, other=group_id)


async def set_user(unit: Unit, channel_id: int, account_id: int, level: int) -> None:
    """Share a channel with somebody; level 0: no longer."""
    if level:
        await unit.execute(_SET_USER, channel_id=channel_id, other_id=account_id, level=level)
    else:
        await unit.execute(_DROP_USER, of_channel=channel_id, other=account_id)


def _paged(statement: Select[Any]) -> tuple[Select[Any], Select[Any]]:
    rows = statement.order_by(statement.selected_columns[0]).limit(bindparam("limit")).offset(bindparam("offset"))
    return rows, select(func.count()).select_from(statement.subquery())


_GROUP_PAGE, _GROUP_COUNT = _paged(_GROUPS)
_USER_PAGE, _USER_COUNT = _paged(_USERS)
_CHANNEL_PAGE, _CHANNEL_COUNT = _paged(_CHANNELS)
