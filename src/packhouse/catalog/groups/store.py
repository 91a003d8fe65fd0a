"""Queries of groups, who is in them and which roles they have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, case, delete, func, insert, or_, select, update

from packhouse.catalog.accounts.account import SERVICE_PREFIX
from packhouse.catalog.accounts.store import CAN_LOG_IN
from packhouse.catalog.groups.group import Group
from packhouse.catalog.people_tables import (
    BY_HAND,
    account,
    channel_grant,
    group_grant,
    group_member,
    group_role,
    role,
    user_group,
)
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, viewer
from packhouse.catalog.schema import channel
from packhouse.catalog.sign_in_tables import group_mapping, provider
from packhouse.core.db import Row, Unit, any_of
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid

_FIELDS = tuple(user_group.c[name] for name in Group.__struct_fields__)
_BY_NAME = select(*_FIELDS).where(user_group.c.name == bindparam("name"))
_BY_ID = select(*_FIELDS).where(user_group.c.id == bindparam("group_id"))
_OF_CHANNEL = select(*_FIELDS).where(user_group.c.channel_id == bindparam("channel_id"))
_LOCK = _BY_ID.with_for_update()
_MEMBERS = select(func.count(group_member.c.account_id.distinct())).where(group_member.c.group_id == user_group.c.id)
_MINE = user_group.c.id.in_(select(group_member.c.group_id).where(group_member.c.account_id == bindparam("viewer_id")))
#: a group of owners is named after its channel, which not everybody may know of
_KNOWABLE = or_(
    _MINE, user_group.c.channel_id.is_(None), user_group.c.channel_id.in_(select(channel.c.id).where(VISIBLE))
)
_PART = user_group.c.name.like(bindparam("part"), escape="\\")
_LEVEL = select(func.max(group_member.c.level)).where(
    group_member.c.group_id == bindparam("group_id"), group_member.c.account_id == bindparam("account_id")
)
_LEVELS = (
    select(group_member.c.group_id, func.max(group_member.c.level))
    .where(group_member.c.account_id == bindparam("account_id"), any_of(group_member.c.group_id, "ids"))
    .group_by(group_member.c.group_id)
)
_SEEN = select(user_group.c.id).where(user_group.c.id == bindparam("group_id"), _KNOWABLE)
_ROLES = (
    select(group_role.c.group_id, role.c.name)
    .join(role, role.c.id == group_role.c.role_id)
    .where(any_of(group_role.c.group_id, "ids"))
    .order_by(role.c.name)
)
_INSERT = """INSERT INTO user_group (uuid, name, description, channel_id, created_at, updated_at)
 VALUES (:uuid, :name, :description, :channel_id, :now, :now) ON CONFLICT (name) DO NOTHING RETURNING id"""
_EDIT = (
    update(user_group)
    .where(user_group.c.id == bindparam("group_id"))
    .values(name=bindparam("new_name"), description=bindparam("new_description"), updated_at=bindparam("now"))
)
#: whatever refers to a group before it
_DELETE = (
    *(delete(table).where(table.c.group_id == bindparam("gone")) for table in (group_member, group_role)),
    *(delete(table).where(table.c.group_id == bindparam("gone")) for table in (group_grant, group_mapping)),
    delete(user_group).where(user_group.c.id == bindparam("gone")),
)
_MEMBER_ROWS = (
    select(
        account.c.id,
        account.c.username,
        func.max(group_member.c.level),
        func.max(case((group_member.c.source_id == BY_HAND, 1), else_=0)),
        func.min(group_member.c.added_at),
    )
    .join(account, account.c.id == group_member.c.account_id)
    .where(group_member.c.group_id == bindparam("group_id"))
    .group_by(account.c.id, account.c.username)
    .order_by(account.c.username)
)
_MEMBER_PAGE = _MEMBER_ROWS.limit(bindparam("limit")).offset(bindparam("offset"))
_MEMBER = _MEMBER_ROWS.where(account.c.id == bindparam("account_id"))
_MEMBER_COUNT = select(func.count(group_member.c.account_id.distinct())).where(
    group_member.c.group_id == bindparam("group_id")
)
_SOURCES = (
    select(group_member.c.account_id, provider.c.name)
    .join(provider, provider.c.id == group_member.c.source_id)
    .where(group_member.c.group_id == bindparam("group_id"), any_of(group_member.c.account_id, "ids"))
    .order_by(provider.c.name)
)
_SET_MEMBER = """INSERT INTO group_member (group_id, account_id, source_id, level, added_at)
 VALUES (:group_id, :account_id, :source_id, :level, :now)
 ON CONFLICT (group_id, account_id, source_id) DO UPDATE SET level = excluded.level"""
_DROP_MEMBER = delete(group_member).where(
    group_member.c.group_id == bindparam("of_group"),
    group_member.c.account_id == bindparam("of_account"),
    group_member.c.source_id == bindparam("source"),
)
_SOURCES_OF = select(group_member.c.source_id, group_member.c.level).where(
    group_member.c.group_id == bindparam("group_id"), group_member.c.account_id == bindparam("account_id")
)
_GIVE_ROLE = insert(group_role).values(group_id=bindparam("group_id"), role_id=bindparam("role_id"))
_TAKE_ROLE = delete(group_role).where(
    group_role.c.group_id == bindparam("of_group"), group_role.c.role_id == bindparam("of_role")
)
_GRANTS = select(group_grant.c.channel_id, group_grant.c.level).where(group_grant.c.group_id == bindparam("group_id"))
_PERSON = select(account.c.id, account.c.username, CAN_LOG_IN).where(
    account.c.username == bindparam("username"), account.c.kind == "person"
)
_HOLDER = select(account.c.id, account.c.username, CAN_LOG_IN).where(
    account.c.username == bindparam("username"),
    or_(
        account.c.kind == "person",
        account.c.service_channel_id == bindparam("of_channel"),
        account.c.id.in_(select(channel_grant.c.user_id).where(channel_grant.c.channel_id == bindparam("of_channel"))),
    ),
)

_EXACTLY = "Write the user name exactly."
_ELSEWHERE = "The service account of another channel gets its level by a token of it that names this channel."


class Person(NamedTuple):
    """Somebody with whom something can be shared."""

    id: int
    username: str
    able: bool  #: to log in


class GroupRow(NamedTuple):
    """A group as lists show it."""

    group: Group
    channel: str | None  #: path of the channel whose owners these are
    members: int
    roles: list[str]
    level: int | None  #: the viewer's over the group itself; None: no member


class Member(NamedTuple):
    """Somebody in a group."""

    account_id: int
    username: str
    level: int  #: over the group itself
    by_hand: bool
    added_at: int
    providers: list[str]  #: who else says so


async def by_name(reader: Reader, name: str) -> Group | None:
    """Return the group of that name."""
    row = await reader.fetch_one(_BY_NAME, name=name)
    return Group(*row) if row else None


async def of_channel(reader: Reader, channel_id: int) -> Group | None:
    """Return the group of a channel's owners."""
    row = await reader.fetch_one(_OF_CHANNEL, channel_id=channel_id)
    return Group(*row) if row else None


async def lock(unit: Unit, group_id: int) -> Group | None:
    """Return a group that nobody else changes until this unit has ended; None when it is gone."""
    row = await unit.fetch_one(_LOCK, group_id=group_id)
    return Group(*row) if row else None


async def person(reader: Reader, username: str) -> Person:
    """Return the person of exactly that name; service accounts are none. Raises PackhouseError("not_found")."""
    return _known(await reader.fetch_one(_PERSON, username=username), username)


async def holder(reader: Reader, channel_id: int, username: str) -> Person:
    """Return the person of exactly that name, or the service account, if it is the channel's or was granted a level.

    Of others nothing is said: their names are those of channels. Whoever gives one a level elsewhere tells its name to
    those who look after that channel. Raises PackhouseError("not_found").
    """
    row = await reader.fetch_one(_HOLDER, username=username, of_channel=channel_id)
    return _known(row, username, _ELSEWHERE if username.startswith(SERVICE_PREFIX) else _EXACTLY)


def _known(row: Row | None, username: str, hint: str = _EXACTLY) -> Person:
    if row is None:
        raise PackhouseError("not_found", f"There is no user {username[:80]!r}.", hint)
    return Person(row[0], row[1], bool(row[2]))


async def level_in(reader: Reader, group_id: int, account_id: int) -> int | None:
    """Return the level an account has over a group itself; None: it is not in it."""
    level: int | None = await reader.fetch_value(_LEVEL, group_id=group_id, account_id=account_id)
    return level


async def knowable(reader: Reader, principal: Principal, group_id: int) -> bool:
    """Say whether a group's name tells the caller of no channel that they may not know of."""
    return await reader.fetch_one(_SEEN, group_id=group_id, **viewer(principal)) is not None


async def page(
    reader: Reader, principal: Principal, *, everything: bool, part: str, limit: int, offset: int
) -> tuple[list[GroupRow], int]:
    """Return groups by name and how many there are: those the caller is in, with `everything` the others as well.

    `part` of the name narrows them. Groups of the owners of channels that the caller may not see are left out.
    """
    rows, count = _LISTS[everything]
    escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    values = {"part": f"%{escaped}%", **viewer(principal)}
    found = await reader.fetch_all(rows, limit=limit, offset=offset, **values) if limit else []
    return await _completed(reader, principal, found), int(await reader.fetch_value(count, **values))


async def row_of(reader: Reader, principal: Principal, group_id: int) -> GroupRow | None:
    """Return one group as lists show it."""
    found = await reader.fetch_all(_ROW, group_id=group_id)
    return (await _completed(reader, principal, found))[0] if found else None


async def _completed(reader: Reader, principal: Principal, rows: list[Any]) -> list[GroupRow]:
    """Return the groups of a page with what is looked up for the page alone."""
    if not rows:
        return []
    ids = [row[0] for row in rows]
    levels: dict[int, int] = dict(await reader.fetch_all(_LEVELS, account_id=principal.account_id or 0, ids=ids))
    roles = await roles_of(reader, ids)
    return [GroupRow(Group(*row[:-2]), row[-2], row[-1], roles.get(row[0], []), levels.get(row[0])) for row in rows]


async def roles_of(reader: Reader, group_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the roles of each of some groups that has any."""
    found: dict[int, list[str]] = {}
    for group_id, name in await reader.fetch_all(_ROLES, ids=list(group_ids)):
        found.setdefault(group_id, []).append(name)
    return found


async def insert_group(unit: Unit, name: str, description: str, channel_id: int | None = None) -> int | None:
    """Make a group without members and return its id; None if the name is taken."""
    made: int | None = await unit.fetch_value(
        _INSERT, uuid=new_uuid(), name=name, description=description, channel_id=channel_id, now=unit.now
    )
    return made


async def edit(unit: Unit, group_id: int, name: str, description: str) -> None:
    """Set name and description."""
    await unit.execute(_EDIT, group_id=group_id, new_name=name, new_description=description, now=unit.now)


async def delete_group(unit: Unit, group_id: int) -> None:
    """Delete a group with all that refers to it; its members lose what it gave."""
    for statement in _DELETE:
        await unit.execute(statement, gone=group_id)


async def members(reader: Reader, group_id: int, limit: int, offset: int) -> tuple[list[Member], int]:
    """Return who is in a group, by name, and how many there are."""
    rows = await reader.fetch_all(_MEMBER_PAGE, group_id=group_id, limit=limit, offset=offset) if limit else []
    return await _told(reader, group_id, rows), int(await reader.fetch_value(_MEMBER_COUNT, group_id=group_id))


async def member(reader: Reader, group_id: int, account_id: int) -> Member:
    """Return how an account is in a group, which it is."""
    [found] = await _told(reader, group_id, await reader.fetch_all(_MEMBER, group_id=group_id, account_id=account_id))
    return found


async def _told(reader: Reader, group_id: int, rows: Sequence[Row]) -> list[Member]:
    providers: dict[int, list[str]] = {}
    for account_id, name in await reader.fetch_all(_SOURCES, group_id=group_id, ids=[row[0] for row in rows]):
        providers.setdefault(account_id, []).append(name)
    return [Member(row[0], row[1], row[2], bool(row[3]), row[4], providers.get(row[0], [])) for row in rows]


async def sources_of(reader: Reader, group_id: int, account_id: int) -> dict[int, int]:
    """Return who put an account into a group (`source_id`) -> the level they gave."""
    return dict(await reader.fetch_all(_SOURCES_OF, group_id=group_id, account_id=account_id))


async def set_member(unit: Unit, group_id: int, account_id: int, level: int, source_id: int = BY_HAND) -> None:
    """Put an account into a group, or change its level over the group."""
    await unit.execute(
        _SET_MEMBER, group_id=group_id, account_id=account_id, source_id=source_id, level=level, now=unit.now
    )


async def drop_member(unit: Unit, group_id: int, account_id: int, source_id: int = BY_HAND) -> bool:
    """Take away what one source says; return whether it said so."""
    return await unit.execute(_DROP_MEMBER, of_group=group_id, of_account=account_id, source=source_id) > 0


async def give_role(unit: Unit, group_id: int, role_id: int) -> None:
    """Give a group a role that it does not have."""
    await unit.execute(_GIVE_ROLE, group_id=group_id, role_id=role_id)


async def take_role(unit: Unit, group_id: int, role_id: int) -> None:
    """Take a role away from a group."""
    await unit.execute(_TAKE_ROLE, of_group=group_id, of_role=role_id)


async def grants_of(reader: Reader, group_id: int) -> dict[int, int]:
    """Return channel id -> the level that a group reaches there."""
    return dict(await reader.fetch_all(_GRANTS, group_id=group_id))


def _statements(which: ColumnElement[bool]) -> tuple[Select[Any], Select[Any]]:
    rows = _ROWS.where(which, _PART).order_by(user_group.c.name)
    count = select(func.count()).select_from(user_group).where(which, _PART)
    return rows.limit(bindparam("limit")).offset(bindparam("offset")), count


_ROWS = select(*_FIELDS, channel.c.path, _MEMBERS.correlate(user_group).scalar_subquery()).outerjoin(
    channel, channel.c.id == user_group.c.channel_id
)
_ROW = _ROWS.where(user_group.c.id == bindparam("group_id"))
#: by whether all that the caller may know of is listed
_LISTS = {False: _statements(_MINE), True: _statements(_KNOWABLE)}
