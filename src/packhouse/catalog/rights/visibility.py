"""Which channels a caller may see, as one SQL condition for lists; equal to `permit(…, "channel:view", …)`.

A store adds `VISIBLE` to its `where` and `**viewer(principal)` to its values. What the caller was granted, beside
owning a channel, is looked up for a page of channels by `levels_on`: as a column it would be asked of every row.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    or_,
    select,
    union_all,
)

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.people_tables import channel_grant, group_grant, group_member
from packhouse.catalog.rights.permissions import NOWHERE, READ, Action, Decision, Level, Target, in_scope, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.schema import channel
from packhouse.core.db import any_of
from packhouse.core.db.base import Reader

#: the id of none
NO_CHANNEL = 0
_VIEWER: BindParameter[int] = bindparam("viewer_id")
_TOP = channel.c.parent_id.is_(None)
_KIND: ColumnElement[Any] = case((_TOP, "channel"), else_="subchannel")


def _by_person(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).where(channel_grant.c.user_id == _VIEWER)


def _by_groups(*columns: ColumnElement[Any]) -> Select[Any]:
    joined = group_member.join(group_grant, group_grant.c.group_id == group_member.c.group_id)
    return select(*columns).select_from(joined).where(group_member.c.account_id == _VIEWER)


def held(level: Level) -> ColumnElement[bool]:
    """Return the condition that the viewer owns a channel or has a level on it, also through a group."""
    return or_(
        channel.c.owner_id == _VIEWER,
        channel.c.id.in_(_by_person(channel_grant.c.channel_id).where(channel_grant.c.level >= int(level))),
        channel.c.id.in_(_by_groups(group_grant.c.channel_id).where(group_grant.c.level >= int(level))),
    )


def _of_kinds(name: str) -> ColumnElement[bool]:
    """Return the condition that the privacy of a channel is among those listed for its kind."""
    # in two lists, since putting the words of each row together takes longer than the rest of a count
    top, below = any_of(channel.c.privacy, f"{name}_channel"), any_of(channel.c.privacy, f"{name}_subchannel")
    return or_(and_(_TOP, top), and_(~_TOP, below))


#: of the table `channel`; takes the values of `viewer`
VISIBLE: ColumnElement[bool] = and_(
    channel.c.path.is_not(None),
    or_(_of_kinds("viewer_open"), and_(any_of(_KIND, "viewer_kinds"), held(READ))),
    or_(
        bindparam("viewer_all") == 1,
        any_of(channel.c.id, "viewer_channels"),
        _of_kinds("viewer_strange"),
    ),
)

# Channel by channel: most are shared with few groups, and some people are in hundreds.
_LEVELS: CompoundSelect[Any] = union_all(
    _by_person(channel_grant.c.channel_id, channel_grant.c.level).where(any_of(channel_grant.c.channel_id, "ids")),
    select(group_grant.c.channel_id, group_grant.c.level).where(
        any_of(group_grant.c.channel_id, "ids"),
        exists().where(group_member.c.group_id == group_grant.c.group_id, group_member.c.account_id == _VIEWER),
    ),
)

_PRIVACIES = ("public", "authenticated", "private")
_KINDS: dict[str, Action] = {"channel": "channel:view", "subchannel": "subchannel:view"}


def viewer(principal: Principal) -> dict[str, Any]:
    """Return the values `VISIBLE` takes: whose they are, what is open to them, and what their token is limited to."""
    person = msgspec.structs.replace(principal, resources=None)
    limits = principal.resources
    return {
        "viewer_id": principal.account_id or 0,  # no account has the id 0
        "viewer_kinds": [kind for kind, action in _KINDS.items() if in_scope(principal, action)],
        **_open_to(person, "viewer_open"),
        "viewer_all": int(limits is None),
        "viewer_channels": [channel_id for channel_id, level in limits or () if level >= READ],
        **_open_to(None if limits is None else principal.stranger, "viewer_strange"),
    }


def _open_to(principal: Principal | None, name: str) -> dict[str, list[str]]:
    """Return the privacies that are open to a person, or to nobody, for each kind of channel."""
    return {
        f"{name}_{kind}": [
            privacy
            for privacy in _PRIVACIES
            if principal is not None
            and permit(principal, "channel:view", Target(privacy, subchannel=kind == "subchannel")) is Decision.ALLOWED
        ]
        for kind in _KINDS
    }


async def levels_on(reader: Reader, principal: Principal, channel_ids: Collection[int]) -> dict[int, int]:
    """Return the highest level the caller was granted on each of some channels, where it was, owning them apart."""
    found: dict[int, int] = {}
    if principal.known and channel_ids:
        for channel_id, level in await reader.fetch_all(
            _LEVELS, viewer_id=principal.account_id, ids=sorted(channel_ids)
        ):
            found[channel_id] = max(level, found.get(channel_id, 0))
    return found


async def target_of(reader: Reader, principal: Principal, on: Channel) -> Target:
    """Return the `Target` of a channel whose row is known; asks for the grant only where one could count."""
    grant = 0
    if principal.known and principal.role != "admin" and on.owner_id != principal.account_id:
        grant = (await levels_on(reader, principal, [on.id])).get(on.id, 0)
    return Target(on.privacy, on.owner_id, grant, on.id, subchannel=on.parent_id is not None)


async def target_at(reader: Reader, principal: Principal, found: Channel | None) -> Target:
    """Return the `Target` of a channel, or NOWHERE; by the same questions, so that no clock tells a hidden one."""
    if found is not None:
        return await target_of(reader, principal, found)
    if principal.role != "admin":
        await levels_on(reader, principal, [NO_CHANNEL])
    return NOWHERE
