"""`/api/account`: the caller and their channels."""

from __future__ import annotations

from litestar import get
from litestar.params import FromQuery

from packhouse.catalog.channels.listing import channels as list_channels
from packhouse.doors.api.parameters import Caller, House, Limit, Offset, Page, Sort, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.profile import shown
from packhouse.doors.api.shapes.accounts import AccountShape
from packhouse.doors.api.shapes.channels import ChannelShape, own_channel


@get(["/api/account", "/api/account/me"], tags=["account"], responses=refused())
async def account(caller: Caller, services: House) -> AccountShape:
    """Tell who the caller is."""
    return await shown(services.db, caller)


@get("/api/account/channels", tags=["account"], responses=refused())
async def account_channels(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Sort = "name",
    include_subchannels: FromQuery[bool] = True,
) -> Page[ChannelShape]:
    """List the channels the caller owns or was granted."""
    given = {"mine": True} | ({} if include_subchannels else {"top": True})
    rows, total = await list_channels(services.db, caller, given, sort=sort, limit=page_size(limit), offset=offset)
    return Page([own_channel(row, caller) for row in rows], total)


HANDLERS = [account, account_channels]
