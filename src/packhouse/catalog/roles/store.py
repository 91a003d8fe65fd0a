"""Queries of roles, of their levels and of which of them new accounts get."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update

from packhouse.catalog.people_tables import account_role, group_role, role, role_level, setting
from packhouse.catalog.roles.role import AUTHOR, EVERYONE, Role
from packhouse.core.db import Row, Unit, any_of
from packhouse.core.db.base import Reader

#: the setting that lists the ids of the roles new accounts get; until somebody changes it, `author`
DEFAULTS = "default_roles"

_ACCOUNTS = select(func.count(account_role.c.account_id.distinct())).where(account_role.c.role_id == role.c.id)
_GROUPS = select(func.count()).where(group_role.c.role_id == role.c.id)
_FIELDS = (
    *(role.c[name] for name in Role.__struct_fields__[:6]),
    _ACCOUNTS.correlate(role).scalar_subquery(),
    _GROUPS.correlate(role).scalar_subquery(),
)
_PAGE = select(*_FIELDS).order_by(role.c.name).limit(bindparam("limit")).offset(bindparam("offset"))
_COUNT = select(func.count()).select_from(role)
_NAMED = select(*_FIELDS).where(any_of(role.c.name, "names")).order_by(role.c.name)
# Whoever changes a role or gives it waits here, so that none is deleted while it is given; `everyone` besides, so that
# two who change what new accounts get come in turn.
_HOLD = select(role.c.id).where(any_of(role.c.id, "ids")).order_by(role.c.id).with_for_update()
_HOLD_NAMED = (
    select(role.c.id).where(any_of(role.c.name, "names")).order_by(role.c.id).with_for_update(read=True, key_share=True)
)
_LEVELS = select(role_level.c.role_id, role_level.c.category, role_level.c.level).where(
    any_of(role_level.c.role_id, "ids"), role_level.c.level > 0
)
_INSERT = """INSERT INTO role (name, description, created_at, updated_at) VALUES (:name, :description, :now, :now)
 ON CONFLICT (name) DO NOTHING RETURNING id"""
_UPDATE = (
    update(role)
    .where(role.c.id == bindparam("role_id"))
    .values(name=bindparam("new_name"), description=bindparam("new_description"), updated_at=bindparam("now"))
)
_CLEAR_LEVELS = delete(role_level).where(role_level.c.role_id == bindparam("role_id"))
_SET_LEVEL = insert(role_level).values({name: bindparam(name) for name in ("role_id", "category", "level")})
_DELETE = delete(role).where(role.c.id == bindparam("role_id"))
_SETTING = select(setting.c.value).where(setting.c.name == bindparam("name"))
_SET = """INSERT INTO setting (name, value, updated_at) VALUES (:name, :value, :now)
 ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"""


async def page(reader: Reader, limit: int, offset: int) -> tuple[list[Role], int]:
    """Return roles by name, and how many there are."""
    rows = await reader.fetch_all(_PAGE, limit=limit, offset=offset)
    return await _whole(reader, rows), int(await reader.fetch_value(_COUNT))


async def by_names(reader: Reader, names: Collection[str]) -> dict[str, Role]:
    """Return name -> role of those that there are, with how many hold them, all of whom are counted."""
    rows = await reader.fetch_all(_NAMED, names=sorted(set(names)))
    return {found.name: found for found in await _whole(reader, rows)}


async def hold(unit: Unit, *ids: int) -> None:
    """Let no other unit change these roles, or give them, until this one ends; `everyone` is always among them."""
    await unit.fetch_all(_HOLD, ids=sorted({EVERYONE, *ids}))


async def hold_named(unit: Unit, names: Collection[str]) -> None:
    """Let nobody delete these roles, which the unit gives, until it ends."""
    await unit.fetch_all(_HOLD_NAMED, names=sorted(set(names)))


async def insert_role(unit: Unit, name: str, description: str) -> int | None:
    """Create a role without levels and return its id; None if the name is taken."""
    made: int | None = await unit.fetch_value(_INSERT, name=name, description=description, now=unit.now)
    return made


async def update_role(unit: Unit, role_id: int, name: str, description: str) -> None:
    """Set what a role is called."""
    await unit.execute(_UPDATE, role_id=role_id, new_name=name, new_description=description, now=unit.now)


async def set_levels(unit: Unit, role_id: int, levels: Mapping[str, int]) -> None:
    """Set the levels of a role; a category that is not named has none."""
    await unit.execute(_CLEAR_LEVELS, role_id=role_id)
    rows = [{"role_id": role_id, "category": category, "level": level} for category, level in levels.items() if level]
    if rows:
        await unit.execute_many(_SET_LEVEL, rows)


async def delete_role(unit: Unit, role_id: int) -> None:
    """Delete a role that nobody holds."""
    await unit.execute(_CLEAR_LEVELS, role_id=role_id)
    await unit.execute(_DELETE, role_id=role_id)


async def default_ids(reader: Reader) -> tuple[int, ...]:
    """Return the ids of the roles that new accounts get."""
    value = await reader.fetch_value(_SETTING, name=DEFAULTS)
    return (AUTHOR,) if value is None else tuple(msgspec.json.decode(value, type=list[int]))


async def set_default_ids(unit: Unit, ids: Iterable[int]) -> None:
    """Set which roles new accounts get."""
    await unit.execute(_SET, name=DEFAULTS, value=msgspec.json.encode(sorted(ids)).decode(), now=unit.now)


async def _whole(reader: Reader, rows: list[Row]) -> list[Role]:
    if not rows:
        return []
    levels: dict[int, dict[str, int]] = {row[0]: {} for row in rows}
    for role_id, category, level in await reader.fetch_all(_LEVELS, ids=list(levels)):
        levels[role_id][category] = level
    defaults = await default_ids(reader)
    return [_role(row, levels[row[0]], row[0] in defaults) for row in rows]


def _role(row: Row, levels: dict[str, int], default: bool) -> Role:
    return Role(*(*row[:3], bool(row[3]), *row[4:], levels, default))
