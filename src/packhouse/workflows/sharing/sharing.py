"""Channels and subchannels are shared with groups and people, each at a level: one unit, one audit event.

Whether the caller may share the channel has been asked before; here, that nobody gives more than they have on it, and
that its owners stay. Nothing is inherited: a subchannel is shared by itself.
"""

from __future__ import annotations

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups import grants, store
from packhouse.catalog.groups.group import Group
from packhouse.catalog.groups.target import NO_GROUP, target_of_group
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.giving import check_scopes
from packhouse.catalog.rights.permissions import (
    CATEGORIES,
    Decision,
    Level,
    channel_level,
    permit,
    role_level,
)
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_of
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.creating import gone
from packhouse.workflows.channels.store import lock
from packhouse.workflows.services import Services


async def share_with_group(services: Services, caller: Principal, channel: Channel, name: str, level: Level) -> bool:
    """Let a group have a level on a channel; NONE: no longer any. Returns whether it was otherwise before.

    Raises PackhouseError: `not_found` (the channel, or a group that the caller may not see), `forbidden` for a level
    above the caller's own, `conflict` for the group of the channel's owners.
    """

    async def work(unit: Unit) -> bool:
        held = await _held(unit, caller, channel, level)
        group = await _group(unit, caller, held, name)
        before = await grants.of_group(unit, held.id, group.id)
        if before == level:
            return False
        if group.channel_id == held.id:
            raise PackhouseError(
                "conflict", "These are the owners of the channel.", "Take people out of the group instead."
            )
        await grants.set_group(unit, held.id, group.id, level)
        await _tell(unit, "channel_group_added" if level else "channel_group_deleted", caller, held, level,
                    group=group.name)  # fmt: skip
        return True

    return await services.db.write(work)


async def share_with_user(services: Services, caller: Principal, channel: Channel, name: str, level: Level) -> bool:
    """Let somebody have a level on a channel; NONE: no longer any. Returns whether it was otherwise before.

    Raises PackhouseError: `not_found` (the channel or the user), `forbidden` for a level above the caller's own,
    `conflict` for the channel's owner, who has all there is.
    """

    async def work(unit: Unit) -> bool:
        held = await _held(unit, caller, channel, level)
        person = await store.holder(unit, held.id, name)
        if person.id == held.owner_id:
            raise PackhouseError("conflict", f"{name} owns the channel.", "Make somebody else the owner first.")
        before = await grants.of_user(unit, held.id, person.id)
        if before == level:
            return False
        await grants.set_user(unit, held.id, person.id, level)
        await _tell(unit, "channel_user_added" if level else "channel_user_deleted", caller, held, level,
                    user=person.username)  # fmt: skip
        return True

    return await services.db.write(work)


async def _tell(unit: Unit, kind: str, caller: Principal, held: Channel, level: Level, **whom: str) -> None:
    """Tell the audit trail and every process with whom a channel is shared now."""
    data = whom | ({"level": level.name.lower()} if level else {})
    await record_event(unit, type=kind, actor=caller.username, object=held.path, channel_id=held.id, data=data)
    await changes.note(unit, "people")


async def _held(unit: Unit, caller: Principal, channel: Channel, level: Level) -> Channel:
    """Return the channel, which nobody else changes meanwhile, if the caller has the level there to give.

    What the token shown may not do there, it gives nobody either.
    """
    await require_standing(unit, caller)
    held = await lock(unit, channel.id)
    if held is None:
        raise gone()
    target = await target_of(unit, caller, held)
    by_roles = min(role_level(caller, category) for category, row in CATEGORIES.items() if row.of_channel)
    if level > max(by_roles, channel_level(caller, target)):
        raise PackhouseError(
            "forbidden",
            f"Nobody shares more than they have: you lack {level.name.lower()} on this channel.",
            "Share it at a lower level, or ask its owner.",
        )
    check_scopes(caller, level)
    return held


async def _group(unit: Unit, caller: Principal, held: Channel, name: str) -> Group:
    """Return a group that the caller may see, or that the channel is shared with already; nobody deletes it meanwhile.

    Others are refused in the words for one that there is not, by the same questions.
    """
    found = await store.by_name(unit, name)
    number = NO_GROUP if found is None else found.id
    group = await store.lock(unit, number)
    shared = await grants.of_group(unit, held.id, number)
    seen = permit(caller, "channel.group:view", await target_of_group(unit, caller, group))
    if group is not None and (shared or seen is not Decision.INVISIBLE):
        return group
    raise PackhouseError(
        "not_found", f"There is no group {name[:80]!r} that you may see.", "Name one that you are in, or ask an admin."
    )
