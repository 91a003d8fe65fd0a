"""Nobody gives what they lack by a group: neither its roles nor the channels it reaches."""

from __future__ import annotations

from collections.abc import Collection

from packhouse.catalog.accounts.assigning import RoleRow, all_roles
from packhouse.catalog.groups import store as groups
from packhouse.catalog.groups.group import Group
from packhouse.catalog.rights.giving import check_scopes, covers
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import levels_on
from packhouse.catalog.roles import store as roles
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError


async def coverable(unit: Unit, giver: Principal, names: Collection[str]) -> dict[str, RoleRow]:
    """Return the named roles, all of which the giver may give or take.

    Raises PackhouseError("forbidden"), in the same words for a role that there is not.
    """
    await roles.hold_named(unit, names)
    known, found = await all_roles(unit), {}
    for name in sorted(set(names)):
        one = known.get(name)
        if one is None or not covers(giver, one.levels, admin=one.admin):
            raise PackhouseError(
                "forbidden",
                f"There is no role {name[:80]!r} that you may give or take.",
                "Name a role that gives nothing you lack, and use no token that is limited.",
            )
        found[name] = one
    return found


async def check_reach(unit: Unit, giver: Principal, group: Group) -> None:
    """Refuse to let somebody into a group that reaches farther than whoever lets them in.

    Raises PackhouseError("forbidden"). Whoever is in the group has what it gives, and so may always, but with a token
    that can do less.
    """
    if names := (await groups.roles_of(unit, [group.id])).get(group.id):
        await coverable(unit, giver, names)
    grants = await groups.grants_of(unit, group.id)
    check_scopes(giver, max(grants.values(), default=0))
    if giver.role == "admin":
        return
    own = await levels_on(unit, giver, list(grants))
    if any(level > own.get(channel_id, 0) for channel_id, level in grants.items()):
        raise PackhouseError(
            "forbidden",
            "This group reaches channels that you do not.",
            "Ask somebody who is in it, or an admin.",
        )
