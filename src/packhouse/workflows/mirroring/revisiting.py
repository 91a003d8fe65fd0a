"""A run of a mirror that asks for names on demand: those it knows, or those its filters name, are asked for again."""

from __future__ import annotations

from collections.abc import AsyncIterator

from packhouse.catalog.mirrors import holdings, pages
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import LostLease
from packhouse.core.leases import acquire, release
from packhouse.core.randomness import random_hex
from packhouse.workflows.mirroring.ours import is_ours
from packhouse.workflows.mirroring.page import Done, Lease, lease_name, take_page
from packhouse.workflows.mirroring.turn import Turn

_PAGE = 500
#: how long a silent worker keeps the right to ask for one name, in seconds
LEASE_SECONDS = 60.0


async def revisit(turn: Turn) -> None:
    """Take in what the upstream says now of every name. A name that cannot be asked for is counted as failed.

    Raises what ends a run.
    """
    counts, holder = turn.counts, random_hex(8)
    asked = 0
    async for name in _names(turn):
        await turn.job.checkpoint()
        if await is_ours(turn.services.db, turn.channel.id, turn.mirror.family, name):
            continue
        asked += 1
        turn.step(2, f"Asking for {name}")
        turn.progress.last_ckey = name
        try:
            done = await _one(turn, name, holder)
        except PackhouseError as fault:
            turn.fail(name, str(fault))
            continue
        counts.added += done.added
        counts.updated += done.updated
        counts.removed += done.removed
        for filename, reason in done.faults:
            turn.fail(filename, reason)
        await turn.services.publisher.publish(turn.channel.id)
    counts.active, counts.passive = await holdings.count(turn.services.db, turn.mirror.id, turn.channel.id)
    turn.step(3, f"Asked for {asked} names", 100)


async def _names(turn: Turn) -> AsyncIterator[str]:
    """Yield the names the filters name, or else those that anybody has wanted so far."""
    if turn.mirror.filters.projects:
        for name in turn.mirror.filters.projects:
            yield name
        return
    after = ""
    while names := await pages.names(turn.services.db, turn.mirror.id, after, _PAGE):
        for name in names:
            yield name
        after = names[-1]


async def _one(turn: Turn, name: str, holder: str) -> Done:
    db = turn.services.db
    lease = Lease(lease_name(turn.mirror, name), holder, LEASE_SECONDS)
    if not await db.write(lambda unit: acquire(unit, *lease)):
        return Done(True)  # somebody is asking for it at this moment
    try:
        return await take_page(turn.services, turn.channel, turn.mirror, name, lease)
    except LostLease:
        return Done(True)
    finally:
        await db.write(lambda unit: release(unit, lease.name, lease.holder))
