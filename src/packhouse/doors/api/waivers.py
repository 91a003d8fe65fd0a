"""`/api/waivers`: files that somebody lets pass for a while, although a rule hides them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from packhouse.catalog.channels.listing import visible_paths
from packhouse.catalog.policies import waivers
from packhouse.catalog.policies.waivers import WaiverRow
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import to_iso
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import Caller, Filter, House, Limit, Offset, Page, Text, Word, moment, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.words import WaiverState
from packhouse.workflows.governing.waiving import Matches, Wanted, create_waiver, end_waiver, matched, no_waiver
from packhouse.workflows.services import Services

#: names of one list in a request
_MOST = 100


class WaiverRequest(Body, kw_only=True):
    """What shall pass. With `rules`, what these hide; with `cves`, these are not looked at; with neither, whatever
    hides it but malware, quarantine and a reserved name, which a waiver must name."""

    name: Word  #: of the package
    family: Word = "conda"
    spec: Text = ""  #: version and build of a match spec, for example `>=1.2,<2 py39_*`; empty: every file
    #: what these hide, as explanations call them
    rules: Annotated[list[Word], msgspec.Meta(max_length=_MOST)] = []
    #: vulnerabilities that are not looked at, by any of their names
    cves: Annotated[list[Word], msgspec.Meta(max_length=_MOST)] = []
    channel: Word | None = None  #: `CHANNEL` or `CHANNEL/SUBCHANNEL`; null: everywhere
    reason: Text  #: told to whoever asks
    until: Word  #: ISO 8601; it ends by itself then; a bare date is included whole (UTC)


class WaiverShape(msgspec.Struct, kw_only=True):
    """A waiver."""

    id: str
    state: WaiverState
    family: str
    name: str
    spec: str
    rules: list[str]
    cves: list[str]
    channel: str | None  #: null: everywhere
    reason: str
    created_by: str
    created_at: str  #: RFC 3339
    until: str
    matches: Matches | None  #: what it selects now where the caller may look, whether hidden or not; null in lists


@get("/api/waivers", tags=["waivers"], responses=refused())
async def list_waivers(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    active: FromQuery[bool | None] = None,
    family: Filter = None,
    name: Filter = None,
    channel: Filter = None,
) -> Page[WaiverShape]:
    """List waivers, those that end last first; with `active` those that hold, or those that have ended.

    With `channel` those that count there, also those for everywhere.
    """
    now = await services.db.now()
    given: dict[str, Any] = {"family": family, "name": name}
    if channel:
        given["channel_id"] = (await permitted_channel(services.db, caller, "channel:view", channel)).id
    if active is not None:
        given |= {"active" if active else "ended": True, "now": now}
    chosen = {key: value for key, value in given.items() if value is not None}
    rows, total = await waivers.page(services.db, caller, chosen, page_size(limit), offset)
    return Page([_shape(row, now) for row in rows], total)


@post("/api/waivers", tags=["waivers"], responses=refused("unsupported_type"))
async def create(data: JSONBody[WaiverRequest], caller: Caller, services: House) -> WaiverShape:
    """Let files pass until a time, in one channel or everywhere. It holds within seconds, and ends by itself."""
    channel_id = None
    if data.channel is not None:
        channel_id = (await permitted_channel(services.db, caller, "channel:view", data.channel)).id
    wanted = Wanted(
        family=data.family,
        name=data.name,
        spec=data.spec,
        rules=tuple(data.rules),
        cves=tuple(data.cves),
        reason=data.reason,
        until=moment("until", data.until, end=True),
        channel_id=channel_id,
    )
    row = await create_waiver(services, caller.username, wanted)
    return _shape(row, row.at, await matched(services.db, caller, row))


@get("/api/waivers/{waiver_id:str}", tags=["waivers"], responses=refused())
async def show(waiver_id: FromPath[str], caller: Caller, services: House) -> WaiverShape:
    """Show a waiver."""
    row = await _found(services, caller, waiver_id)
    return _shape(row, await services.db.now(), await matched(services.db, caller, row))


@delete("/api/waivers/{waiver_id:str}", tags=["waivers"], status_code=200, responses=refused("conflict"))
async def end(waiver_id: FromPath[str], caller: Caller, services: House) -> WaiverShape:
    """Let a waiver end now: what it let pass is hidden again. It stays to be read."""
    row = await _found(services, caller, waiver_id)
    ended = await end_waiver(services, caller.username, row.uuid)
    return _shape(ended, ended.until, await matched(services.db, caller, ended))


async def _found(services: Services, caller: Principal, waiver_id: str) -> WaiverRow:
    """Return a waiver that the caller may know of. Raises PackhouseError("not_found")."""
    row = await waivers.by_uuid(services.db, waiver_id.replace("\0", ""))
    hidden = (
        row is not None
        and row.channel_id is not None
        and not (row.path and await visible_paths(services.db, caller, [row.path]))
    )
    if row is None or hidden:
        raise no_waiver()
    return row


def _shape(row: WaiverRow, now: int, matches: Matches | None = None) -> WaiverShape:
    return WaiverShape(
        id=row.uuid,
        state="active" if row.until > now else "ended",
        family=row.family,
        name=row.name,
        spec=row.spec,
        rules=list(row.lifts.rules),
        cves=list(row.lifts.cves),
        channel=row.path,
        reason=row.reason,
        created_by=row.by,
        created_at=to_iso(row.at) or "",
        until=to_iso(row.until) or "",
        matches=matches,
    )


HANDLERS = [list_waivers, create, show, end]
