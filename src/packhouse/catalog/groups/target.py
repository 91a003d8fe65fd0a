"""A group as `permit` sees it: its members may read it, whoever manages it may change it."""

from __future__ import annotations

from packhouse.catalog.groups import store
from packhouse.catalog.groups.group import Group
from packhouse.catalog.rights.permissions import GROUP, NOWHERE, READ, Target
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db.base import Reader

#: the id of none
NO_GROUP = 0


async def target_of_group(reader: Reader, principal: Principal, group: Group | None) -> Target:
    """Return the `Target` of a group whose row is known, or NOWHERE; by the same questions, so that no clock tells.

    The group of the owners of a channel that the caller may not know of is nowhere: its name is the channel's.
    """
    number = NO_GROUP if group is None else group.id
    if principal.account_id is not None:
        level = await store.level_in(reader, number, principal.account_id)
        if level is not None:
            return Target(GROUP, grant=max(level, READ))
    return Target(GROUP) if await store.knowable(reader, principal, number) else NOWHERE
