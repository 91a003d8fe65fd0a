"""A group as `permit` sees it: its members may read it, whoever manages it may change it."""

from __future__ import annotations

from packhouse.catalog.accounts.permissions import GROUP, NOWHERE, READ, Target
from packhouse.catalog.accounts.principal import Principal
from packhouse.catalog.groups import store
from packhouse.catalog.groups.group import Group
from packhouse.core.db.base import Reader


async def target_of_group(reader: Reader, principal: Principal, group: Group) -> Target:
    """Return the `Target` of a group whose row is known.

    The group of the owners of a channel that the caller may not know of is nowhere: its name is the channel's.
    """
    level = None
    if principal.account_id is not None:
        level = await store.level_in(reader, group.id, principal.account_id)
    if level is not None:
        return Target(GROUP, grant=max(level, READ))
    if group.channel_id is not None and not await store.knowable(reader, principal, group.id):
        return NOWHERE
    return Target(GROUP)
