"""`/api/reservations`: names that no mirror may bring, against dependency confusion."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from packhouse.catalog.channels.listing import visible_paths
from packhouse.catalog.policies import reservations
from packhouse.catalog.policies.reservations import ReservationRow
from packhouse.core.clock import to_iso
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import Caller, House, Limit, Number, Offset, Page, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.workflows.governing.reserving import create_reservation, delete_reservation, no_reservation


class ReservationRequest(Body, kw_only=True):
    """A name to be reserved."""

    pattern: Word  #: a name, or one with *, for example `acme-*`
    family: Word = ""  #: empty: of every family
    channel: Word | None = None  #: `CHANNEL` or `CHANNEL/SUBCHANNEL`; null: everywhere


class ReservationShape(msgspec.Struct, kw_only=True):
    """A reserved name."""

    id: int
    pattern: str
    family: str  #: empty: of every family
    channel: str | None  #: null: everywhere
    created_by: str
    created_at: str  #: RFC 3339


@get("/api/reservations", tags=["reservations"], responses=refused())
async def list_reservations(
    caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0
) -> Page[ReservationShape]:
    """List reserved names. What somebody uploaded to a channel is reserved there besides, without standing here."""
    rows, total = await reservations.page(services.db, caller, page_size(limit), offset)
    return Page([_shape(row) for row in rows], total)


@post("/api/reservations", tags=["reservations"], responses=refused("conflict", "unsupported_type"))
async def create(data: JSONBody[ReservationRequest], caller: Caller, services: House) -> ReservationShape:
    """Reserve a name: what mirrors brought, or bring, under it is hidden; what was uploaded to the channel is not."""
    channel_id = None
    if data.channel is not None:
        channel_id = (await permitted_channel(services.db, caller, "channel:view", data.channel)).id
    return _shape(await create_reservation(services, caller.username, data.pattern, data.family, channel_id))


@delete("/api/reservations/{reservation_id:int}", tags=["reservations"], responses=refused())
async def remove(reservation_id: Number, caller: Caller, services: House) -> None:
    """Let mirrors bring a name again."""
    row = await reservations.by_id(services.db, reservation_id)
    of_channel = row is not None and row.channel_id is not None
    if of_channel and not await visible_paths(services.db, caller, [row.path or ""] if row else []):
        raise no_reservation()
    await delete_reservation(services, caller.username, reservation_id)


def _shape(row: ReservationRow) -> ReservationShape:
    return ReservationShape(
        id=row.id,
        pattern=row.pattern,
        family=row.family,
        channel=row.path,
        created_by=row.by,
        created_at=to_iso(row.at) or "",
    )


HANDLERS = [list_reservations, create, remove]
