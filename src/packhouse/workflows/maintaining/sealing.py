"""Sealing what lay readable in the database, as installations before had it: credentials of mirrors, and webhooks."""

from __future__ import annotations

from functools import partial

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.mirrors import credentials
from packhouse.catalog.notifications import hooks
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
    if mirrors or webhooks:
        await services.db.write(partial(_tell, mirrors=mirrors, webhooks=webhooks))


async def _tell(unit: Unit, mirrors: int, webhooks: int) -> None:
    counts = {"mirrors": mirrors, "webhooks": webhooks}
    await record_event(unit, type="secrets_sealed", actor="system", object="secrets", data=counts)
