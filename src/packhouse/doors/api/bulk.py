"""`PUT …/artifacts/bulk`: copy, move or delete packages and files."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import put
from litestar.params import JSONBody

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.rights.permissions import Decision, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import target_of
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import Caller, Here, House, Word
from packhouse.doors.api.permissions import BULK
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.services import Services


class BulkItem(Body):
    """A package, or with `ckey` one file of it."""

    name: Word
    family: Word = "conda"
    ckey: Word | None = None


class BulkRequest(Body):
    """What shall be done to which files, and where they shall go."""

    action: Literal["copy", "move", "delete"]
    items: list[BulkItem]
    target_channel: Word | None = None  #: `CH`, or `CH/SUB`
    target_subchannel: Word | None = None


class BulkDone(msgspec.Struct):
    """What was done."""

    action: str
    files: int  #: how many there were


@put(
    of_channel("/artifacts/bulk"),
    tags=["artifacts"],
    status_code=202,
    responses=refused("channel_frozen", "different_content"),
)
async def bulk(data: JSONBody[BulkRequest], caller: Caller, services: House, here: Here) -> BulkDone:
    """Copy, move or delete files. The whole request is checked first; when one file is refused, none is changed.

    Files that a rule hides are copied and moved for who manages their channel; for others they are not there.
    """
    if not data.items:
        raise PackhouseError("bad_request", "`items` is empty.", "Name packages or files.")
    on_source, on_target = BULK[data.action]
    await permitted_channel(services.db, caller, on_source, here.path)
    target = None
    if on_target is not None:
        target = await permitted_channel(services.db, caller, on_target, _target(data))
    try:
        return BulkDone(data.action, await _do(services, caller, here, target, data))
    except PackhouseError as error:
        if error.code == "channel_frozen":
            error.status = 400  # the command lines read a 400 as "channel is frozen" here
        raise


async def _do(services: Services, caller: Principal, here: Channel, target: Channel | None, data: BulkRequest) -> int:
    items = [Item(item.name, item.family, item.ckey) for item in data.items]
    if target is None:
        return await remove(services, here, caller.username, items)
    manages = permit(caller, "channel:edit", await target_of(services.db, caller, here)) is Decision.ALLOWED
    return await copy(services, here, target, caller.username, items, move=data.action == "move", hidden=manages)


def _target(data: BulkRequest) -> str:
    if not data.target_channel:
        raise PackhouseError("bad_request", "`target_channel` is missing.", "Say where the files shall go.")
    return f"{data.target_channel}/{data.target_subchannel}" if data.target_subchannel else data.target_channel


HANDLERS = [bulk]
