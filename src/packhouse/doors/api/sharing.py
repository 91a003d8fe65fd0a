"""`…/groups` and `…/users` of a channel: with whom it is shared, and at which level."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups import grants
from packhouse.catalog.rights.permissions import Decision, Level, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_of
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.groups import ONE, wanted_level
from packhouse.doors.api.parameters import Caller, Here, House, Limit, Offset, Page, ThisGroup, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.groups import SharedWith, shared_with
from packhouse.doors.api.words import SHARING, Permission, SharingAction
from packhouse.workflows.sharing.sharing import share_with_group, share_with_user


class ShareRequest(Body):
    """How a channel shall be shared."""

    level: Permission = "read"


class SharingRequest(Body):
    """What the `anaconda channel share` command sends."""

    user: Word
    action: SharingAction = "share"
    grant: Permission = "read"  #: when it is shared


class Shares(msgspec.Struct):
    """What became of it."""

    changed: bool  #: False: it was like that before


@get(of_channel("/groups"), tags=["sharing"], responses=refused())
async def groups_of_channel(
    caller: Caller, services: House, here: Here, limit: Limit = 100, offset: Offset = 0
) -> Page[SharedWith]:
    """List the groups a channel is shared with; who may not share it sees only groups that they are in."""
    everything = await _shares(services.db, caller, here)
    rows, total = await grants.page_of_groups(
        services.db, caller, here.id, everything=everything, limit=page_size(limit), offset=offset
    )
    return Page([shared_with(row) for row in rows], total)


@put(of_channel("/groups/{group:str}"), tags=["sharing"], responses=refused("conflict"))
async def share_group(
    group: FromPath[str], data: JSONBody[ShareRequest], caller: Caller, services: House, here: Here
) -> Shares:
    """Share a channel with a group, or at another level."""
    return Shares(await share_with_group(services, caller, here, group, wanted_level(data.level)))


@delete(of_channel("/groups/{group:str}"), tags=["sharing"], responses=refused("conflict"))
async def unshare_group(group: FromPath[str], caller: Caller, services: House, here: Here) -> None:
    """Share a channel no longer with a group."""
    await share_with_group(services, caller, here, group, Level.NONE)


@get(of_channel("/users"), tags=["sharing"], responses=refused())
async def users_of_channel(
    caller: Caller, services: House, here: Here, limit: Limit = 100, offset: Offset = 0
) -> Page[SharedWith]:
    """List the people and service accounts a channel is shared with; who may not share it sees only themselves."""
    everything = await _shares(services.db, caller, here)
    rows, total = await grants.page_of_users(
        services.db, caller, here.id, everything=everything, limit=page_size(limit), offset=offset
    )
    return Page([shared_with(row) for row in rows], total)


@put(of_channel("/users/{username:str}"), tags=["sharing"], responses=refused("conflict"))
async def share_user(
    username: FromPath[str], data: JSONBody[ShareRequest], caller: Caller, services: House, here: Here
) -> Shares:
    """Share a channel with somebody, or at another level."""
    return Shares(await share_with_user(services, caller, here, username, wanted_level(data.level)))


@delete(of_channel("/users/{username:str}"), tags=["sharing"], responses=refused("conflict"))
async def unshare_user(username: FromPath[str], caller: Caller, services: House, here: Here) -> None:
    """Share a channel no longer with somebody."""
    await share_with_user(services, caller, here, username, Level.NONE)


@post(
    "/api/namespaces/{channel:str}/channels/{subchannel:str}/sharing",
    status_code=200,
    tags=["sharing"],
    responses=refused("conflict"),
)
async def share_subchannel(data: JSONBody[SharingRequest], caller: Caller, services: House, here: Here) -> Shares:
    """Share a subchannel with somebody or no longer, as the `anaconda channel share` command asks for it."""
    level = wanted_level(data.grant) if data.action == "share" else Level.NONE
    if data.action not in SHARING:
        raise PackhouseError("bad_request", f"{data.action[:40]!r} is no action.", "Use one of share, unshare.")
    return Shares(await share_with_user(services, caller, here, data.user, level))


@get(ONE + "/channels", tags=["groups"], responses=refused())
async def channels_of_group(
    caller: Caller, services: House, this_group: ThisGroup, limit: Limit = 100, offset: Offset = 0
) -> Page[SharedWith]:
    """List the channels that a group reaches, of those that the caller may see."""
    rows, total = await grants.page_of_channels(
        services.db, caller, this_group.id, limit=page_size(limit), offset=offset
    )
    return Page([shared_with(row) for row in rows], total)


async def _shares(db: Database, caller: Principal, here: Channel) -> bool:
    return permit(caller, "channel.group:edit", await target_of(db, caller, here)) is Decision.ALLOWED


HANDLERS = [
    groups_of_channel, share_group, unshare_group, users_of_channel, share_user, unshare_user,
    share_subchannel, channels_of_group,
]  # fmt: skip
