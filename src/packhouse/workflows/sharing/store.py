"""Queries of heirs: whose channels go to whom."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from packhouse.catalog.accounts.store import CAN_LOG_IN
from packhouse.catalog.groups.store import Person
from packhouse.catalog.people_tables import account, account_role, group_member, user_group
from packhouse.catalog.rights.permissions import MANAGE
from packhouse.catalog.roles.role import ADMIN
from packhouse.catalog.schema import channel
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader

_HOLD = select(account.c.id).where(account.c.id == bindparam("account_id")).with_for_update()
_OWNED = (
    select(channel.c.id)
    .where(channel.c.owner_id == bindparam("account_id"), channel.c.path.is_not(None))
    .order_by(channel.c.id)
)
_INHERITED = (
    select(channel.c.id)
    .where(channel.c.heir_of == bindparam("account_id"), channel.c.path.is_not(None))
    .order_by(channel.c.id)
    .with_for_update()
)
_OTHERS = (
    CAN_LOG_IN,
    account.c.kind == "person",
    account.c.id != bindparam("account_id"),
)
_PERSON = select(account.c.id, account.c.username, CAN_LOG_IN).where(*_OTHERS)
_ADMINS = (
    _PERSON.join(account_role, account_role.c.account_id == account.c.id)
    .where(account_role.c.role_id == ADMIN)
    .order_by(account.c.username != bindparam("actor"), account.c.id)
    .limit(1)
)
_CO_OWNERS = (
    _PERSON.join(group_member, group_member.c.account_id == account.c.id)
    .join(user_group, user_group.c.id == group_member.c.group_id)
    .where(user_group.c.channel_id == bindparam("channel_id"), group_member.c.level >= int(MANAGE))
    .order_by(group_member.c.added_at, account.c.id)
    .limit(1)
)


async def hold_account(unit: Unit, account_id: int) -> None:
    """Let nobody become an owner as this account, nor change it, until this unit has ended."""
    await unit.fetch_one(_HOLD, account_id=account_id)


async def owned(reader: Reader, account_id: int) -> list[int]:
    """Return the channels that an account owns."""
    return [row[0] for row in await reader.fetch_all(_OWNED, account_id=account_id)]


async def inherited(unit: Unit, account_id: int) -> list[int]:
    """Return the channels that others own in an account's place; nobody gives them away until the unit has ended."""
    return [row[0] for row in await unit.fetch_all(_INHERITED, account_id=account_id)]


async def co_owner(reader: Reader, channel_id: int, account_id: int) -> Person | None:
    """Return who manages the group of a channel's owners longest and can log in, `account_id` apart."""
    row = await reader.fetch_one(_CO_OWNERS, channel_id=channel_id, account_id=account_id)
    return Person(row[0], row[1], bool(row[2])) if row else None


async def administrator(reader: Reader, account_id: int, actor: str) -> Person | None:
    """Return an administrator who can log in, `account_id` apart: the actor if they are one, else the first."""
    row = await reader.fetch_one(_ADMINS, account_id=account_id, actor=actor)
    return Person(row[0], row[1], bool(row[2])) if row else None
