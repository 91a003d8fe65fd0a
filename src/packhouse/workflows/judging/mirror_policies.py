"""Policies that mirrors have instead of their channels': who has one, and what follows when it changes or goes.

Such a policy only selects what a mirror takes in. What may be seen of that, the policy of the channel decides alone.
A policy is held before channels, and those before mirrors, so that no two of these deadlock.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Mirror, Spec
from packhouse.catalog.policies import store as policies
from packhouse.catalog.policies.store import PolicyRow
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


class User(NamedTuple):
    """A mirror that has a policy of its own."""

    channel: Channel
    mirror: Mirror

    @property
    def path(self) -> str:
        """What people call it."""
        return f"{self.channel.path}/{self.mirror.name}"


async def users(reader: Reader, policy_uuid: str) -> list[User]:
    """Return the mirrors that have a policy, by their channels' ids."""
    found = [one for one in await store.all_mirrors(reader) if one.options.policy_id == policy_uuid]
    known = {one.channel_id: await channels.by_id(reader, one.channel_id) for one in found}
    pairs = [User(channel, one) for one in found if (channel := known[one.channel_id]) is not None]
    return sorted(pairs, key=lambda pair: (pair.channel.id, pair.mirror.id))


async def held_policy(unit: Unit, spec: Spec) -> PolicyRow | None:
    """Return the policy that a mirror shall have of its own, as it stays until the unit has ended.

    Raises PackhouseError("not_found").
    """
    if spec.options.policy_id is None:
        return None
    known = await policies.by_uuid(unit, spec.options.policy_id.replace("\0", ""))
    held = await policies.hold(unit, known.id) if known else None
    if held is None:
        raise PackhouseError("not_found", "There is no such policy.", "List the policies to find its id.")
    return held


async def assigned_to_mirror(
    unit: Unit, actor: str, channel: Channel, mirror: Mirror, policy: PolicyRow | None, before: str | None = None
) -> None:
    """Record that a mirror has a policy of its own now, or with None that it has that no more."""
    former = await policies.by_uuid(unit, before) if before else None
    data = {"mirror": mirror.name, "mirror_id": mirror.uuid}
    if policy is not None:
        data |= {"policy": policy.name, "policy_id": policy.uuid}
    if former is not None:
        data["instead_of" if policy else "policy"] = former.name
    kind = "mirror_policy_assigned" if policy else "mirror_policy_unassigned"
    await record_event(
        unit, type=kind, actor=actor, object=f"{channel.path}/{mirror.name}", channel_id=channel.id, data=data
    )


async def unassign_mirrors(unit: Unit, actor: str, policy: PolicyRow) -> None:
    """Let the mirrors that have a held policy have that of their channel. Their next run finds what that changes."""
    for channel, mirror in await users(unit, policy.uuid):
        await channels.hold(unit, channel.id)
        options = msgspec.structs.replace(mirror.options, policy_id=None, use_channel_policy=True)
        await store.set_options(unit, mirror.id, options)
        await assigned_to_mirror(unit, actor, channel, mirror, None, policy.uuid)
        await changes.note(unit, "mirror", channel.id)


async def let_mirrors_follow(unit: Unit, policy: PolicyRow) -> None:
    """Let the mirrors that have a policy select anew, in their next run, by what it says now."""
    for channel, mirror in await users(unit, policy.uuid):
        await store.set_options(unit, mirror.id, mirror.options)
        await changes.note(unit, "mirror", channel.id)
