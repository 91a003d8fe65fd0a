"""How long single downloads are kept: room is made ahead for days to come, and what is old goes by the day or month.

Counts, and who has which file since when, are no single downloads and stay.
"""

from __future__ import annotations

from functools import partial

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.downloads import dictionaries
from packhouse.catalog.downloads.store import open_items
from packhouse.core.clock import DAY
from packhouse.core.db import Unit
from packhouse.workflows.services import Services

#: days for which there is room before they come; a process that finds none makes it
AHEAD = 3


async def keep_downloads(services: Services) -> None:
    """Make room for the next days, and drop what is older than `download_days`; that is an event."""
    db, store = services.db, open_items(services.db)
    today = await db.now() // DAY
    await store.make_room(today, today + AHEAD)
    before = today - services.settings.download_days
    try:
        if dropped := await store.drop_before(before):
            await db.write(partial(_tell, dropped))
    finally:
        await store.close()
    while await db.write(partial(dictionaries.forget_before, day=store.first_kept(before))):
        pass


async def _tell(dropped: list[str], unit: Unit) -> None:
    data = {"first": dropped[0], "last": dropped[-1], "count": len(dropped)}
    await record_event(unit, type="downloads_dropped", actor="system", object="downloads", data=data)
