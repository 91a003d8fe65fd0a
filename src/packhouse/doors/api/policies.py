"""`/api/policies` and `…/policy`: what may be seen in channels, made once and assigned to many."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.channels.listing import visible_paths
from packhouse.catalog.policies import progress, store
from packhouse.catalog.policies.store import PolicyRow
from packhouse.catalog.rights.permissions import INSTALLATION, Action, Decision, permit, refusal
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, Here, House, Limit, Offset, Page, Word, page_size
from packhouse.doors.api.permissions import ASSIGN
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.policies import (
    ChannelPolicy,
    NewPolicy,
    PolicyEdit,
    PolicyShape,
    channel_policy,
    given_rules,
    names_of,
    policy_shape,
    required_name,
)
from packhouse.security.policies.policy import decode, edited
from packhouse.workflows.governing.policies import (
    assign_policy,
    create_policy,
    delete_policy,
    edit_policy,
    get_policy,
    unassign_policy,
)
from packhouse.workflows.judging.mirror_policies import users
from packhouse.workflows.services import Services

#: channels named by one request
MOST_CHANNELS = 1000


class ChannelNames(Body):
    """Channels, by their paths."""

    channels: list[Word]  #: `CHANNEL` or `CHANNEL/SUBCHANNEL`


class PolicyDeleted(msgspec.Struct):
    """What was deleted."""

    id: str
    name: str
    deleted: bool = True


@get("/api/policies", tags=["policies"], responses=refused())
async def list_policies(caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0) -> Page[PolicyShape]:
    """List the policies, by name."""
    rows, total = await store.page(services.db, page_size(limit), offset)
    assigned = await store.assigned(services.db)
    visible = await visible_paths(services.db, caller, [one.path for one in assigned])
    return Page([policy_shape(row, assigned, visible) for row in rows], total)


@post("/api/policies", tags=["policies"], responses=refused("conflict"))
async def create(data: JSONBody[NewPolicy], caller: Caller, services: House) -> PolicyShape:
    """Make a policy, and with `channel_name` assign it at once, which needs the right to do that."""
    ids = await _channels(services.db, caller, names_of(data))
    if ids:
        require(caller, ASSIGN)
    name, description = required_name(data), data.description or ""
    made = await create_policy(services, caller.username, name, description, given_rules(data), ids)
    return await _shape(services.db, caller, made, given_rules(data))


@get("/api/policies/{policy_id:str}", tags=["policies"], responses=refused())
async def show(policy_id: FromPath[str], caller: Caller, services: House) -> PolicyShape:
    """Show a policy, in plain words, too, and the channels that have it."""
    return await _shape(services.db, caller, await get_policy(services.db, policy_id))


@put("/api/policies/{policy_id:str}", tags=["policies"], responses=refused("conflict"))
async def edit(policy_id: FromPath[str], data: JSONBody[PolicyEdit], caller: Caller, services: House) -> PolicyShape:
    """Edit a policy: a member that is sent replaces the former value, "" or null clears it, others stay.

    Channels that have it follow within seconds: their `state` says how far that has come.
    """
    edited = await edit_policy(
        services,
        caller.username,
        policy_id,
        given_rules(data),
        name=None if data.name is UNSET else data.name,
        description=None if data.description is UNSET else data.description or "",
    )
    return await _shape(services.db, caller, edited, given_rules(data))


@delete("/api/policies/{policy_id:str}", tags=["policies"], status_code=200, responses=refused("conflict"))
async def remove(
    policy_id: FromPath[str], caller: Caller, services: House, force: FromQuery[bool] = False
) -> PolicyDeleted:
    """Delete a policy that no channel and no mirror has; with `force` unassign it everywhere first."""
    policy = await get_policy(services.db, policy_id)
    paths = [one.path for one in await store.assigned(services.db, policy.id)]
    paths += [one.channel.path for one in await users(services.db, policy.uuid)]
    visible = await visible_paths(services.db, caller, paths)
    await delete_policy(services, caller.username, policy_id, visible, force=force)
    return PolicyDeleted(policy.uuid, policy.name)


@post("/api/policies/{policy_id:str}/assign", tags=["policies"], status_code=200, responses=refused())
async def assign(
    policy_id: FromPath[str], data: JSONBody[ChannelNames], caller: Caller, services: House
) -> PolicyShape:
    """Let channels have this policy, instead of any other one."""
    ids = await _channels(services.db, caller, data.channels)
    await assign_policy(services, caller.username, policy_id, ids)
    return await _shape(services.db, caller, await get_policy(services.db, policy_id))


@post("/api/policies/{policy_id:str}/unassign", tags=["policies"], status_code=200, responses=refused())
async def unassign(
    policy_id: FromPath[str], data: JSONBody[ChannelNames], caller: Caller, services: House
) -> PolicyShape:
    """Take this policy away from channels; one that has another policy, or none, keeps that."""
    ids = await _channels(services.db, caller, data.channels)
    await unassign_policy(services, caller.username, policy_id, ids)
    return await _shape(services.db, caller, await get_policy(services.db, policy_id))


@get(of_channel("/policy"), tags=["policies"], responses=refused())
async def show_channel_policy(services: House, here: Here) -> ChannelPolicy:
    """Show what holds in a channel, in plain words, whether it holds already, and how far what is to hold has come."""
    now = await store.of_channel(services.db, here.id)
    if now is None:
        raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
    policy = None if now.policy_id is None else await store.by_id(services.db, now.policy_id)
    come = None if now.next_ruleset_id is None else await progress.of(services.db, now.next_ruleset_id)
    return channel_policy(policy, now, come)


async def wanted_policy(services: Services, caller: Principal, here: Channel, policy_id: Any) -> Any:
    """Return the policy that an edit of a channel wants it to have, `UNSET` where that stays.

    Raises PackhouseError: `not_found`, `forbidden` for who may edit the channel, but decides nothing about policies.
    """
    if policy_id is UNSET:
        return UNSET
    policy = await get_policy(services.db, policy_id) if policy_id else None
    if (policy.id if policy else None) == here.policy_id:
        return UNSET
    require(caller, ASSIGN)
    return policy.uuid if policy else None


def require(caller: Principal, action: Action) -> None:
    """Raise PackhouseError("forbidden") unless the caller may do this in the whole installation."""
    decision = permit(caller, action, INSTALLATION)
    if decision is not Decision.ALLOWED:
        raise refusal(decision, caller, action, data_plane=False)


async def _shape(
    reader: Reader, caller: Principal, policy: PolicyRow, given: Mapping[str, Any] = MappingProxyType({})
) -> PolicyShape:
    assigned = await store.assigned(reader, policy.id)
    visible = await visible_paths(reader, caller, [one.path for one in assigned])
    return policy_shape(policy, assigned, visible, edited(decode(policy.rules), given))


async def _channels(reader: Reader, caller: Principal, paths: list[str]) -> list[int]:
    """Return the ids of channels. Raises PackhouseError("not_found") for one that the caller may not see, either."""
    if len(paths) > MOST_CHANNELS:
        raise PackhouseError("bad_request", f"At most {MOST_CHANNELS:,} channels at a time.", "Send several requests.")
    visible = await visible_paths(reader, caller, paths)
    found: list[int] = []
    for path in dict.fromkeys(paths):
        channel = await channels.by_path(reader, path) if path in visible else None
        if channel is None:
            raise PackhouseError("not_found", f"There is no channel {path[:80]!r}.", "Check its name.")
        found.append(channel.id)
    return found


HANDLERS = [list_policies, create, show, edit, remove, assign, unassign, show_channel_policy]
