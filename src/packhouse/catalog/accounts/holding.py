"""What somebody may do by their roles: everybody's, their own and those of their groups, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packhouse.catalog.rights.permissions import CATEGORIES
from packhouse.catalog.rights.principal import Levels, Principal, Role
from packhouse.catalog.roles.role import ADMIN, AUTHOR, EVERYONE
from packhouse.core.db.base import Reader

_ROLES = """SELECT held.role_id, role_level.category, role_level.level FROM (
  SELECT 1 AS role_id
  UNION SELECT role_id FROM account_role WHERE account_id = :account_id
  UNION SELECT group_role.role_id FROM group_member JOIN group_role ON group_role.group_id = group_member.group_id
   WHERE group_member.account_id = :account_id
) AS held LEFT JOIN role_level ON role_level.role_id = held.role_id"""


class Holding(NamedTuple):
    """What the roles of somebody give."""

    role: Role
    levels: Levels
    everyone: Levels  #: what the role everyone gives by itself

    def principal(self, account_id: int | None, username: str) -> Principal:
        """Return the caller that has this."""
        return Principal(account_id, username, self.role, levels=self.levels, everyone=self.everyone)


async def holding_of(reader: Reader, account_id: int | None) -> Holding:
    """Return what an account holds; None: whoever shows no credential."""
    rows = await reader.fetch_all(_ROLES, account_id=account_id or 0)
    roles = {row[0] for row in rows}
    given = [row for row in rows if row[1] is not None]
    everybodys = [row for row in given if row[0] == EVERYONE]
    role: Role = "admin" if ADMIN in roles else "author" if AUTHOR in roles else "everyone"
    return Holding(role, _levels(given), _levels(everybodys))


def _levels(given: Sequence[tuple[int, str, int]]) -> Levels:
    highest: dict[str, int] = {}
    for _, category, level in given:
        highest[category] = max(level, highest.get(category, 0))
    return tuple(highest.get(category, 0) for category in CATEGORIES)
