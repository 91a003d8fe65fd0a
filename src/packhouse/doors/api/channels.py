"""`/api/channels`: channels and subchannels."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromQuery, JSONBody
from msgspec import UNSET, UnsetType

from packhouse.catalog.channels.channel import Channel, check_privacy
from packhouse.catalog.channels.listing import channel_row
from packhouse.catalog.channels.listing import channels as list_rows
from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import (
    Caller,
    Filter,
    Here,
    House,
    Limit,
    Offset,
    Page,
    Reserved,
    Sort,
    Text,
    Word,
    page_size,
)
from packhouse.doors.api.policies import wanted_policy
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.channels import ChannelShape, EditedChannel, channel_shape, edited_channel
from packhouse.doors.api.words import Behavior, Privacy
from packhouse.workflows.channels.creating import create_channel, create_subchannel
from packhouse.workflows.channels.deleting import delete_channel
from packhouse.workflows.channels.editing import Edit, edit_channel, frozen_of


class ChannelRequest(Body):
    """A channel to be made."""

    name: Word  #: a-z, 0-9, - and _, beginning with a letter
    description: Text | None = None
    privacy: Privacy = "public"


class SubchannelRequest(Body):
    """A subchannel to be made."""

    name: Word  #: a-z, 0-9, - and _, beginning with a letter
    description: Text | None = None
    privacy: Privacy | None = None  #: unsent: that of the channel it is made in, at that moment


class ChannelEdit(Body):
    """What shall be otherwise with a channel; unsent members stay as they are."""

    name: Word | None = None
    description: Text | None = None
    privacy: Privacy | None = None
    indexing_behavior: Behavior | None = None
    owner: Word | None = None  #: user name; the owner and administrators may say so
    policy_id: Word | UnsetType | None = UNSET  #: null: none; to change it needs the right to edit policies, too


class Deleted(msgspec.Struct):
    """What was deleted."""

    name: str
    deleted: bool = True


@get("/api/channels", tags=["channels"], responses=refused())
async def list_channels(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Sort = "name",
    q: Filter = None,
    privacy: Filter = None,
    include_subchannels: FromQuery[bool] = False,
) -> Page[ChannelShape]:
    """List the channels the caller may see. `q` is a part of the name."""
    if privacy:
        check_privacy(privacy)
    given: dict[str, Any] = {"part": q or "", "privacy": privacy or "", "top": not include_subchannels}
    chosen = {name: value for name, value in given.items() if value}
    rows, total = await list_rows(services.db, caller, chosen, sort=sort, limit=page_size(limit), offset=offset)
    return Page([channel_shape(row) for row in rows], total)


@post("/api/channels", tags=["channels"], responses=refused("conflict", "name_reserved"))
async def create(data: JSONBody[ChannelRequest], caller: Caller, services: House, reserved: Reserved) -> ChannelShape:
    """Create a channel; the caller owns it."""
    made = await create_channel(
        services, caller, data.name, reserved, description=data.description or "", privacy=data.privacy
    )
    return channel_shape(await channel_row(services.db, caller, made.id))


@get("/api/channels/{channel:str}/subchannels", tags=["channels"], responses=refused())
async def list_subchannels(
    caller: Caller, services: House, here: Here, limit: Limit = 100, offset: Offset = 0, sort: Sort = "name"
) -> Page[ChannelShape]:
    """List the subchannels the caller may see."""
    rows, total = await list_rows(
        services.db, caller, {"parent_id": here.id}, sort=sort, limit=page_size(limit), offset=offset
    )
    return Page([channel_shape(row) for row in rows], total)


@post("/api/channels/{channel:str}/subchannels", tags=["channels"], responses=refused("conflict", "name_reserved"))
async def create_sub(data: JSONBody[SubchannelRequest], caller: Caller, services: House, here: Here) -> ChannelShape:
    """Create a subchannel: a channel of its own, which later edits of the channel it is made in do not change."""
    made = await create_subchannel(
        services, caller, here, data.name, description=data.description or "", privacy=data.privacy
    )
    return channel_shape(await channel_row(services.db, caller, made.id))


@get(of_channel(), tags=["channels"], responses=refused())
async def show(caller: Caller, services: House, here: Here) -> ChannelShape:
    """Show a channel."""
    return channel_shape(await channel_row(services.db, caller, here.id))


@put(
    of_channel(),
    tags=["channels"],
    responses=refused("conflict", "name_reserved", "channel_frozen", "different_content"),
)
async def edit(
    data: JSONBody[ChannelEdit], caller: Caller, services: House, here: Here, reserved: Reserved
) -> EditedChannel:
    """Edit a channel, freeze or unfreeze it, let it have a policy or none."""
    behavior = data.indexing_behavior
    policy = await wanted_policy(services, caller, here, data.policy_id)
    wanted = Edit(
        name=data.name,
        description=data.description,
        privacy=data.privacy,
        frozen=None if behavior is None else frozen_of(behavior),
        owner=_new_owner(caller, here, data.owner),
        policy=policy,
    )
    now, changed = await edit_channel(services, here, caller, wanted, reserved)
    return edited_channel(await channel_row(services.db, caller, now.id), changed)


def _new_owner(caller: Principal, here: Channel, username: str | None) -> str | None:
    """Return who shall own the channel; only its owner gives it away, and administrators."""
    if username is not None and caller.role != "admin" and here.owner_id != caller.account_id:
        raise PackhouseError(
            "forbidden", "Only the owner gives a channel away.", "Ask the owner or an administrator to do so."
        )
    return username


@delete(of_channel(), tags=["channels"], status_code=202, responses=refused("channel_frozen"))
async def remove(caller: Caller, services: House, here: Here) -> Deleted:
    """Delete a channel with its subchannels: nobody sees it from now on."""
    await delete_channel(services, here, caller.username)
    return Deleted(here.path)


HANDLERS = [list_channels, create, list_subchannels, create_sub, show, edit, remove]
