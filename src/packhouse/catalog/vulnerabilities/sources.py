"""Where a feed is read, as it is kept: what may be shown of the address, and the whole one sealed where it says more.

So a dump of the database opens no source. What is sealed belongs to the feed of that name and opens for no other.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, select, update

from packhouse.catalog.judgement_tables import feed
from packhouse.catalog.vulnerabilities.feeds import Feed, Spec
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import mask_url
from packhouse.core.sealing import Sealer

_UNSEALED = select(feed.c.id, feed.c.name, feed.c.source).where(feed.c.sealed.is_(None)).with_for_update(key_share=True)
_SEAL = (
    update(feed)
    .where(feed.c.id == bindparam("number"))
    .values(source=bindparam("new_source"), sealed=bindparam("new_sealed"))
)


def seal(sealer: Sealer, spec: Spec) -> tuple[Spec, bytes | None]:
    """Return a spec with its address as it may be shown, and the whole one sealed; None: there is no more to it."""
    shown = mask_url(spec.source)
    if shown == spec.source:
        return spec, None
    return msgspec.structs.replace(spec, source=shown), sealer.seal(spec.source.encode(), _about(spec.name))


def opened(sealer: Sealer, of: Feed) -> str:
    """Return the whole address of a feed. Raises PackhouseError("internal") when it does not open."""
    return of.source if of.sealed is None else sealer.open(of.sealed, _about(of.name)).decode()


def is_at(sealer: Sealer, of: Feed, address: str) -> bool:
    """Say whether a feed is read there; nobody knows of one whose address does not open."""
    try:
        return opened(sealer, of) == address
    except PackhouseError:
        return False


async def seal_readable(unit: Unit, sealer: Sealer) -> int:
    """Seal the addresses that lie in the database readably; return how many those were."""
    rows = []
    for number, name, source in await unit.fetch_all(_UNSEALED):
        kept, sealed = seal(sealer, Spec(name, source))
        if sealed is not None:
            rows.append({"number": number, "new_source": kept.source, "new_sealed": sealed})
    if rows:
        await unit.execute_many(_SEAL, rows)
    return len(rows)


def _about(name: str) -> str:
    return f"feed {name}"
