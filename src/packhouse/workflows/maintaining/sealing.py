"""Sealing what lay readable in the database of older installations: keys, what opens mirrors, webhooks and feeds."""

from __future__ import annotations

from functools import partial

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.installation import sealed_keys
from packhouse.catalog.mirrors import credentials
from packhouse.catalog.notifications import hooks
from packhouse.catalog.vulnerabilities import sources
from packhouse.core.db import Unit
from packhouse.workflows.services import Services


async def seal_readable(services: Services) -> None:
    """Seal it, in batches; to be called once the key is known to be this installation's, before anything is read."""
    sealer, mirrors, webhooks, last = services.sealer, 0, 0, 0
    while count := await services.db.write(partial(credentials.seal_readable, sealer=sealer)):
        mirrors += count
    while True:
        count, last = await services.db.write(partial(hooks.seal_readable, sealer=sealer, after=last))
        webhooks += count
        if not last:
            break
    feeds = await services.db.write(partial(sources.seal_readable, sealer=sealer))
    keys = await services.db.write(partial(sealed_keys.seal_readable, sealer=sealer))
    counts = {"mirrors": mirrors, "webhooks": webhooks, "feeds": feeds, "keys": keys}
    if any(counts.values()):
        await services.db.write(partial(_tell, counts=counts))


async def _tell(unit: Unit, counts: dict[str, int]) -> None:
    await record_event(unit, type="secrets_sealed", actor="system", object="secrets", data=counts)
