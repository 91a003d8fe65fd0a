"""Which roles accounts have, and which of them somebody may give or look at: nobody gives what they lack."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from packhouse.catalog.people_tables import BY_HAND, account_role, role, role_level
from packhouse.catalog.rights.giving import covers
from packhouse.catalog.rights.permissions import CATEGORIES
from packhouse.catalog.rights.principal import Levels, Principal
from packhouse.catalog.roles.role import ADMIN
from packhouse.catalog.roles.store import hold_named
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError

_ROLES = (
    select(role.c.id, role.c.name, role_level.c.category, role_level.c.level)
    .outerjoin(role_level, role_level.c.role_id == role.c.id)
    .order_by(role.c.id)
)
_OF = (
    select(account_role.c.account_id, role.c.name)
    .join(role, role.c.id == account_role.c.role_id)
    .where(any_of(account_role.c.account_id, "accounts"))
    .order_by(role.c.name)
    .distinct()
)
_TAKE = delete(account_role).where(
    account_role.c.account_id == bindparam("of_account"), account_role.c.source_id == BY_HAND
)
_HAS = select(account_role.c.role_id).where(
    account_role.c.account_id == bindparam("of_account"), account_role.c.source_id == BY_HAND
)
_GIVE = insert(account_role).values(account_id=bindparam("of_account"), role_id=bindparam("role"), source_id=BY_HAND)


class RoleRow(NamedTuple):
    """A role and the level it gives in each category."""

    id: int
    name: str
    levels: Levels

    @property
    def admin(self) -> bool:
        """Whether it is the one role that may do everything."""
        return self.id == ADMIN


async def all_roles(reader: Reader) -> dict[str, RoleRow]:
    """Return every role by its name."""
    given: dict[tuple[int, str], dict[str, int]] = {}
    for number, name, category, level in await reader.fetch_all(_ROLES):
        levels = given.setdefault((number, name), {})
        if category is not None:
            levels[category] = level
    return {
        name: RoleRow(number, name, tuple(levels.get(category, 0) for category in CATEGORIES))
        for (number, name), levels in given.items()
    }


async def roles_of(reader: Reader, accounts: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the roles that accounts have themselves, whoever gave them; not those of their groups."""
    found: dict[int, list[str]] = {number: [] for number in accounts}
    for number, name in await reader.fetch_all(_OF, accounts=list(accounts)) if found else ():
        found[number].append(name)
    return found


def owner_of(caller: Principal) -> Principal:
    """Return the person behind a token, who sees more than the token may do."""
    return msgspec.structs.replace(caller, scopes=None, resources=None)


def chosen(known: Mapping[str, RoleRow], names: Sequence[str], giver: Principal | None) -> list[RoleRow]:
    """Return the named roles, if `giver` may give all of them; None: the installation itself.

    Raises PackhouseError: `bad_request` for one that does not exist, `forbidden`.
    """
    found = []
    for name in dict.fromkeys(names):
        one = known.get(name)
        if one is None or name == "everyone":
            offered = ", ".join(sorted(set(known) - {"everyone"}))
            raise PackhouseError("bad_request", f"{name[:40]!r} is not a role.", f"Use some of {offered}.")
        if giver is not None and not covers(giver, one.levels, admin=one.admin):
            raise PackhouseError(
                "forbidden",
                f"The role {name} gives rights that you, or the token you show, do not have.",
                "Have it given by an administrator who logged in.",
            )
        found.append(one)
    return found


async def given_by_hand(reader: Reader, account_id: int) -> set[int]:
    """Return the numbers of the roles that people, not providers, gave an account."""
    return {row[0] for row in await reader.fetch_all(_HAS, of_account=account_id)}


async def assign(unit: Unit, account_id: int, roles: Sequence[RoleRow]) -> bool:
    """Let an account have these roles by hand and no others; say whether that changes anything.

    Roles that a provider gave stay. The caller tells every process with a `people` change.
    """
    has = await given_by_hand(unit, account_id)
    wanted = {one.id for one in roles}
    if has == wanted:
        return False
    await hold_named(unit, [one.name for one in roles])
    await unit.execute(_TAKE, of_account=account_id)
    for number in sorted(wanted):
        await unit.execute(_GIVE, of_account=account_id, role=number)
    return True
