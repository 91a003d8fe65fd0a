"""Mirrors whose selection depends on what is known of vulnerabilities look again when more, or less, is known."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from packhouse.catalog import changes
from packhouse.catalog.mirrors import pages, store
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.core.db import Database, Unit
from packhouse.formats import registry


async def look_again(db: Database, family: str, names: Collection[str]) -> None:
    """Let such mirrors look again, after something became known of packages.

    One whose index comes whole looks at all of it in its next run, even if the upstream says that nothing changed:
    which names were kept out is written nowhere. One that asks for single names asks for these anew.
    """
    lazy = registry.get(family).upstream is not None
    for mirror in await store.all_mirrors(db):
        asks = mirror.filters.asks_vulnerabilities or mirror.options.policy_id is not None
        if mirror.family == family and asks and (lazy or not mirror.needs_full_run):
            await db.write(partial(_look_again, mirror=mirror, names=names if lazy else None))


async def _look_again(unit: Unit, mirror: Mirror, names: Collection[str] | None) -> None:
    if names is None:
        await store.set_full_run(unit, mirror.id, True)
    elif await pages.outdate(unit, mirror.id, names):
        await changes.note(unit, "mirror", mirror.channel_id)
