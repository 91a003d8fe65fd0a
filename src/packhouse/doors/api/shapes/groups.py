"""Groups, and with whom channels are shared, on the wire."""

from __future__ import annotations

import msgspec

from packhouse.catalog.groups.grants import Shared
from packhouse.catalog.groups.store import GroupRow, Member
from packhouse.catalog.rights.permissions import Level
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import Permission


class GroupShape(msgspec.Struct, kw_only=True):
    """A group."""

    id: str
    name: str
    description: str
    channel: str | None  #: whose owners these are
    member_count: int
    roles: list[str]
    level: Permission | None  #: the caller's over the group itself; null: not in it
    created_at: str  #: RFC 3339
    updated_at: str


class EditedGroup(GroupShape, kw_only=True):
    """The answer to an edit."""

    changed: bool  #: False: it was like that before


class MemberShape(msgspec.Struct, kw_only=True):
    """Somebody in a group."""

    username: str
    level: Permission  #: over the group itself, not over what it reaches
    by_hand: bool  #: somebody put them there
    providers: list[str]  #: the directories that say they are in it
    added_at: str  #: RFC 3339


class EditedMember(MemberShape, kw_only=True):
    """Somebody who was put into a group."""

    changed: bool  #: False: it was like that before


def group_shape(row: GroupRow) -> GroupShape:
    """Fill the shape of a group."""
    return GroupShape(**_fields(row))  # type: ignore[arg-type]  # the names are those of the structure


def edited_group(row: GroupRow, changed: bool) -> EditedGroup:
    """Fill the answer to an edit."""
    return EditedGroup(**_fields(row), changed=changed)  # type: ignore[arg-type]  # the names are those of it


def member_shape(member: Member) -> MemberShape:
    """Fill the shape of a member."""
    return MemberShape(**_of(member))  # type: ignore[arg-type]  # the names are those of the structure


def edited_member(member: Member, changed: bool) -> EditedMember:
    """Fill the answer for somebody who was put into a group."""
    return EditedMember(**_of(member), changed=changed)  # type: ignore[arg-type]  # the names are those of it


def level_word(level: int) -> str:
    """Return the word for a level; whoever is in a group may at least read who else is."""
    return Level(max(level, Level.READ)).name.lower()


def _of(member: Member) -> dict[str, object]:
    return {
        "username": member.username,
        "level": level_word(member.level),
        "by_hand": member.by_hand,
        "providers": member.providers,
        "added_at": to_iso(member.added_at) or "",
    }


def _fields(row: GroupRow) -> dict[str, object]:
    group = row.group
    return {
        "id": group.uuid,
        "name": group.name,
        "description": group.description,
        "channel": row.channel,
        "member_count": row.members,
        "roles": row.roles,
        "level": None if row.level is None else level_word(row.level),
        "created_at": to_iso(group.created_at),
        "updated_at": to_iso(group.updated_at),
    }


class SharedWith(msgspec.Struct, kw_only=True):
    """A group or user that a channel is shared with, or a channel that a group reaches."""

    name: str
    level: Permission
    owners: bool  #: it is the group of the channel's owners


def shared_with(row: Shared) -> SharedWith:
    """Fill the shape of one line of who may what."""
    return SharedWith(name=row.name, level=level_word(row.level), owners=row.owners)
