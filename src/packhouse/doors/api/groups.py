"""`/api/groups`: groups of people, their members, and the channels they reach."""

from __future__ import annotations

from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.groups import store
from packhouse.catalog.rights.permissions import GROUP as ANY_GROUP
from packhouse.catalog.rights.permissions import Decision, Level, Target, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, Filter, House, Limit, Offset, Page, Text, ThisGroup, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.groups import (
    EditedGroup,
    EditedMember,
    GroupShape,
    MemberShape,
    edited_group,
    edited_member,
    group_shape,
    member_shape,
)
from packhouse.doors.api.words import Permission
from packhouse.workflows.sharing import groups as verbs
from packhouse.workflows.sharing.groups import GroupEdit

ONE = "/api/groups/{group:str}"


class GroupRequest(Body):
    """A group to be made."""

    name: Word
    description: Text = ""
    roles: list[Word] = []  #: that every member has


class GroupChange(Body):
    """What shall be otherwise with a group; unsent members stay as they are."""

    name: Word | None = None
    description: Text | None = None
    roles: list[Word] | None = None


class MemberRequest(Body):
    """How somebody shall be in a group."""

    level: Permission = "read"  #: over the group itself; who manages it lets others in


def wanted_level(word: str) -> Level:
    """Return the level of that name. Raises PackhouseError("bad_request")."""
    for level in (Level.READ, Level.WRITE, Level.MANAGE):
        if word == level.name.lower():
            return level
    raise PackhouseError("bad_request", f"{word[:40]!r} is no level.", "Use one of read, write, manage.")


@get("/api/groups", tags=["groups"], responses=refused())
async def list_groups(
    caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0, q: Filter = None
) -> Page[GroupShape]:
    """List the caller's groups; whoever makes groups sees the others as well. `q` is a part of the name."""
    everything = permit(caller, "channel.group:view", Target(ANY_GROUP)) is Decision.ALLOWED
    rows, total = await store.page(
        services.db, caller, everything=everything, part=q or "", limit=page_size(limit), offset=offset
    )
    return Page([group_shape(row) for row in rows], total)


@post("/api/groups", tags=["groups"], responses=refused("conflict"))
async def create_group(data: JSONBody[GroupRequest], caller: Caller, services: House) -> GroupShape:
    """Make a group, which the caller is in and manages."""
    made = await verbs.create_group(services, caller, data.name, data.description, data.roles)
    return group_shape(await _row(services.db, caller, made))


@get(ONE, tags=["groups"], responses=refused())
async def show_group(caller: Caller, services: House, this_group: ThisGroup) -> GroupShape:
    """Show a group to its members and to whoever makes groups."""
    return group_shape(await _row(services.db, caller, this_group.id))


@put(ONE, tags=["groups"], responses=refused("conflict"))
async def edit_group(
    data: JSONBody[GroupChange], caller: Caller, services: House, this_group: ThisGroup
) -> EditedGroup:
    """Change a group's name, description or roles. A role can be given and taken by whoever has all it gives."""
    edit = GroupEdit(
        name=data.name, description=data.description, roles=None if data.roles is None else tuple(data.roles)
    )
    changed = await verbs.edit_group(services, caller, this_group, edit)
    return edited_group(await _row(services.db, caller, this_group.id), changed)


@delete(ONE, tags=["groups"], responses=refused("conflict"))
async def delete_group(caller: Caller, services: House, this_group: ThisGroup) -> None:
    """Delete a group: what it gave its members ends."""
    await verbs.delete_group(services, caller, this_group)


@get(ONE + "/members", tags=["groups"], responses=refused())
async def list_members(
    services: House, this_group: ThisGroup, limit: Limit = 100, offset: Offset = 0
) -> Page[MemberShape]:
    """List who is in a group, by name."""
    found, total = await store.members(services.db, this_group.id, page_size(limit), offset)
    return Page([member_shape(member) for member in found], total)


@put(ONE + "/members/{username:str}", tags=["groups"], responses=refused("conflict"))
async def set_member(
    username: FromPath[str], data: JSONBody[MemberRequest], caller: Caller, services: House, this_group: ThisGroup
) -> EditedMember:
    """Put somebody into a group, or change their level over it."""
    member, changed = await verbs.set_member(services, caller, this_group, username, wanted_level(data.level))
    return edited_member(member, changed)


@delete(ONE + "/members/{username:str}", tags=["groups"], responses=refused("conflict"))
async def remove_member(username: FromPath[str], caller: Caller, services: House, this_group: ThisGroup) -> None:
    """Take somebody out of a group; whom a directory put there leaves it there."""
    await verbs.remove_member(services, caller, this_group, username)


async def _row(db: Database, caller: Principal, group_id: int) -> store.GroupRow:
    row = await store.row_of(db, caller, group_id)
    if row is None:
        raise PackhouseError("not_found", "The group is gone.", "List the groups to see what there is.")
    return row


HANDLERS = [list_groups, create_group, show_group, edit_group, delete_group, list_members, set_member, remove_member]
