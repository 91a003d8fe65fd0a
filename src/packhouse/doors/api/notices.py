"""`…/notices`: what a channel tells the people who install from it; conda reads them as `notices.json` (CEP 6)."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from packhouse.catalog.channels import store as channels
from packhouse.core.clock import to_iso
from packhouse.core.db import Row
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, Here, House, Number, Page, Text, Word
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.words import NoticeLevel
from packhouse.workflows.channels.notices import add_notice, remove_notice


class NoticeRequest(Body):
    """A notice to be shown."""

    message: Text
    level: NoticeLevel = "info"
    expires_at: Word | None = None  #: ISO 8601; a bare date is included whole (UTC); null: until it is removed


class NoticeShape(msgspec.Struct, kw_only=True):
    """A notice."""

    id: int
    message: str
    level: NoticeLevel
    created_at: str  #: RFC 3339
    expires_at: str | None


@get(of_channel("/notices"), tags=["notices"], responses=refused())
async def list_notices(services: House, here: Here) -> Page[NoticeShape]:
    """List the notices of a channel, the expired ones too, oldest first."""
    found = [_shape(row) for row in await channels.notices(services.db, here.id)]
    return Page(found, len(found))


@post(of_channel("/notices"), tags=["notices"], responses=refused())
async def create_notice(data: JSONBody[NoticeRequest], caller: Caller, services: House, here: Here) -> NoticeShape:
    """Show a notice to everybody who uses the channel with conda."""
    made = await add_notice(services, here, caller.username, data.message, data.level, data.expires_at)
    rows = await channels.notices(services.db, here.id)
    return _shape(next(row for row in rows if row[0] == made))


@delete(of_channel("/notices/{notice_id:int}"), tags=["notices"], responses=refused())
async def delete_notice(notice_id: Number, caller: Caller, services: House, here: Here) -> None:
    """Take a notice away."""
    await remove_notice(services, here, caller.username, notice_id)


def _shape(row: Row) -> NoticeShape:
    return NoticeShape(
        id=row[0], message=row[1], level=row[2], created_at=to_iso(row[3]) or "", expires_at=to_iso(row[4])
    )


HANDLERS = [list_notices, create_notice, delete_notice]
