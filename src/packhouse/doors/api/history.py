"""`…/history` and `…/changes`: what happened in a channel, by event and by file."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.params import QueryParameter

from packhouse.catalog.packages.package_changes import package_changes
from packhouse.doors.api.parameters import Caller, Filter, Here, House, Limit, Offset, Page, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.history import ChangeShape, EventShape, change_shape, event_shape
from packhouse.workflows.channels.history import channel_history

Cause = Annotated[
    Literal["upload", "mirror", "copy", "removal", "policy"] | None, QueryParameter(description="Only changes by this.")
]


@get(of_channel("/history"), tags=["history"], responses=refused())
async def history(
    caller: Caller, services: House, here: Here, limit: Limit = 100, offset: Offset = 0
) -> Page[EventShape]:
    """List the events of a channel, newest first: one for each cause."""
    rows, total = await channel_history(services.db, caller, here, limit=page_size(limit), offset=offset)
    return Page([event_shape(row, data) for row, data in rows], total)


@get(of_channel("/changes"), tags=["history"], responses=refused())
async def changes(
    services: House, here: Here, limit: Limit = 100, offset: Offset = 0, name: Filter = None, cause: Cause = None
) -> Page[ChangeShape]:
    """List the files that came to a channel or left it, newest first, and why."""
    given = {key: value for key, value in (("name", name), ("cause", cause)) if value is not None}
    rows, total = await package_changes(services.db, here.id, given, limit=page_size(limit), offset=offset)
    return Page([change_shape(row) for row in rows], total)


HANDLERS = [history, changes]
