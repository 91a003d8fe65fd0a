"""Groups begin, change and end; people come into them and leave. Each verb is one unit with its audit events.

Whether the caller may do it to the group has been asked before; what they may give is asked here (`giving`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.groups import store
from packhouse.catalog.groups.group import Group, check_group_name
from packhouse.catalog.groups.store import Member
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.people_tables import BY_HAND
from packhouse.catalog.rights.permissions import MANAGE, Level
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.creating import check_description
from packhouse.workflows.services import Services
from packhouse.workflows.sharing.giving import check_reach, coverable

#: below the level of any member
_OUTSIDE = -1


class GroupEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be otherwise with a group; None: as it is."""

    name: str | None = None
    description: str | None = None
    roles: tuple[str, ...] | None = None


async def create_group(
    services: Services, caller: Principal, name: str, description: str, roles: Collection[str]
) -> int:
    """Make a group that the caller is in and manages; return its id.

    Raises PackhouseError: `bad_request`, `conflict` when the name is taken, `forbidden` for a role they cannot give.
    """
    check_group_name(name)
    check_description(description)

    async def work(unit: Unit) -> int:
        given = await coverable(unit, caller, roles)  # holds them
        await require_standing(unit, caller)
        made = await store.insert_group(unit, name, description)
        if made is None:
            raise _taken(name)
        if caller.account_id is not None:
            await store.set_member(unit, made, caller.account_id, MANAGE)
        for one in given.values():
            await store.give_role(unit, made, one.id)
        await _tell(unit, "group_created", caller, name, {"roles": sorted(given)} if given else {})
        await changes.note(unit, "people")
        return made

    return await services.db.write(work)


async def edit_group(services: Services, caller: Principal, group: Group, edit: GroupEdit) -> bool:
    """Change a group's name, description or roles; return whether anything was otherwise before.

    Raises PackhouseError: `bad_request`, `not_found`, `conflict` (the name is taken, or that of a channel's owners),
    `forbidden` for a role that the caller may neither give nor take, and for another name of a group that gives what
    they lack: a provider puts people into the groups that the identity file names.
    """
    if edit.description is not None:
        check_description(edit.description)

    async def work(unit: Unit) -> bool:
        held = await _held(unit, caller, group)
        changed = await _edit_fields(unit, caller, held, edit)
        if edit.roles is not None:
            changed |= await _edit_roles(unit, caller, held, set(edit.roles))
        if changed:
            was = {"name": held.name, "description": held.description}
            now = {part: changed[part]["to"] if part in changed else value for part, value in was.items()}
            await store.edit(unit, held.id, **now)  # new roles are a change of the group, too
            await _tell(unit, "group_updated", caller, held.name, {"changed": changed})
            await changes.note(unit, "people")
        return bool(changed)

    return await services.db.write(work)


async def _edit_fields(unit: Unit, caller: Principal, held: Group, edit: GroupEdit) -> dict[str, Any]:
    name = held.name if edit.name is None else edit.name
    description = held.description if edit.description is None else edit.description
    changed: dict[str, Any] = {}
    if name != held.name:
        if held.channel_id is not None:
            raise PackhouseError(
                "conflict", "A group of owners is named after its channel.", "Rename the channel: the group follows."
            )
        if await store.by_name(unit, check_group_name(name)) is not None:
            raise _taken(name)
        await check_reach(unit, caller, held)
        changed["name"] = {"from": held.name, "to": name}
    if description != held.description:
        changed["description"] = {"from": held.description, "to": description}
    return changed


async def _edit_roles(unit: Unit, caller: Principal, held: Group, wanted: set[str]) -> dict[str, Any]:
    """Give and take roles until the group has those wanted; those it keeps need not be the caller's."""
    now = set((await store.roles_of(unit, [held.id])).get(held.id, []))
    if now == wanted:
        return {}
    touched = await coverable(unit, caller, now ^ wanted)
    for name in sorted(now - wanted):
        await store.take_role(unit, held.id, touched[name].id)
    for name in sorted(wanted - now):
        await store.give_role(unit, held.id, touched[name].id)
    return {"roles": {"from": sorted(now), "to": sorted(wanted)}}


async def delete_group(services: Services, caller: Principal, group: Group) -> None:
    """Delete a group: what it gave its members ends at once.

    Raises PackhouseError: `not_found`, `conflict` for the group of a channel's owners.
    """

    async def work(unit: Unit) -> None:
        held = await _held(unit, caller, group)
        if held.channel_id is not None:
            raise PackhouseError(
                "conflict", "A group of owners is there as long as its channel.", "Delete the channel, or its members."
            )
        await store.delete_group(unit, held.id)
        await _tell(unit, "group_deleted", caller, held.name, {})
        await changes.note(unit, "people")

    await services.db.write(work)


async def set_member(
    services: Services, caller: Principal, group: Group, username: str, level: Level
) -> tuple[Member, bool]:
    """Put somebody into a group, or change their level over it; return how they are in it, and whether that is new.

    Raises PackhouseError: `not_found`, `forbidden` for a group that gives what the caller lacks, `conflict` for the
    level of a channel's owner in the group of its owners.
    """

    async def work(unit: Unit) -> tuple[Member, bool]:
        held = await _held(unit, caller, group)
        person = await store.person(unit, username)
        sources = await store.sources_of(unit, held.id, person.id)
        if sources.get(BY_HAND) == level:
            return await store.member(unit, held.id, person.id), False
        if level > sources.get(BY_HAND, _OUTSIDE):  # by hand they stay, also when a provider takes them out
            await check_reach(unit, caller, held)
        if sources and level < MANAGE:
            await _refuse_owner(unit, held, person.id)
        await store.set_member(unit, held.id, person.id, level)
        data = {"user": person.username, "level": level.name.lower()}
        await _tell(unit, "group_user_added", caller, held.name, data)
        await changes.note(unit, "people")
        return await store.member(unit, held.id, person.id), True

    return await services.db.write(work)


async def remove_member(services: Services, caller: Principal, group: Group, username: str) -> None:
    """Take somebody out of a group.

    Raises PackhouseError: `not_found`, `conflict` for a channel's owner in the group of its owners, and for somebody
    whom only a provider put there.
    """

    async def work(unit: Unit) -> None:
        held = await _held(unit, caller, group)
        person = await store.person(unit, username)
        sources = await store.sources_of(unit, held.id, person.id)
        if not sources:
            raise PackhouseError("not_found", f"{username} is not in this group.", "List its members.")
        await _refuse_owner(unit, held, person.id)
        if not await store.drop_member(unit, held.id, person.id):
            raise PackhouseError(
                "conflict", f"The directory says that {username} is in this group.", "Take them out of it there."
            )
        await _tell(unit, "group_user_deleted", caller, held.name, {"user": person.username})
        await changes.note(unit, "people")

    await services.db.write(work)


async def _refuse_owner(unit: Unit, held: Group, account_id: int) -> None:
    """Keep the owner of a channel a manager among its owners."""
    channel = None if held.channel_id is None else await channels.by_id(unit, held.channel_id)
    if channel is not None and channel.owner_id == account_id:
        raise PackhouseError(
            "conflict", f"This is the owner of {channel.path}.", "Make somebody else the owner of the channel first."
        )


async def _held(unit: Unit, caller: Principal, group: Group) -> Group:
    held = await store.lock(unit, group.id)
    if held is None:
        raise PackhouseError("not_found", "The group is gone.", "List the groups to see what there is.")
    await require_standing(unit, caller)
    return held


def _taken(name: str) -> PackhouseError:
    return PackhouseError("conflict", f"The name {name!r} is taken.", "Choose another name.")


async def _tell(unit: Unit, type_: str, caller: Principal, name: str, data: dict[str, Any]) -> None:
    await record_event(unit, type=type_, actor=caller.username, object=f"group {name}", data=data)
