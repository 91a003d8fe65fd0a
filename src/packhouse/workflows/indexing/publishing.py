"""Publishing: the dirty names of a channel become its next revision, in short transactions.

Whoever changed something publishes it himself, so that an answer of 201 means installable; a crash in between leaves
the names dirty, and the worker's sweep publishes them. While a channel is frozen, nothing is published; unfreezing
stages everything that accumulated under the next number, which no reader sees, and then flips the head once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import groupby

from packhouse.catalog import changes
from packhouse.catalog.channels import store as channels
from packhouse.catalog.packages import downloads
from packhouse.core.clock import monotonic
from packhouse.core.db import Database, Unit
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.rendering import render
from packhouse.workflows.indexing.summarising import summarise

#: names looked at per transaction at most, and how long rendering may hold one, in seconds
BATCH = 500
BUDGET_SECONDS = 0.03


class Publisher:
    """Publishes channels for one process; calls for a channel that is being published share the next round."""

    def __init__(self, db: Database, published: Callable[[int], None]) -> None:
        self._db = db
        self._published = published  # told of each channel, so that this process reads its own writes
        self._locks: dict[int, asyncio.Lock] = {}
        self._asked: dict[int, int] = {}
        self._done: dict[int, int] = {}

    async def publish(self, channel_id: int) -> None:
        """Return once everything that was dirty at the call is part of a revision (or the channel is frozen)."""
        ticket = self._asked[channel_id] = self._asked.get(channel_id, 0) + 1
        async with self._locks.setdefault(channel_id, asyncio.Lock()):
            if self._done.get(channel_id, 0) >= ticket:
                return
            served = self._asked[channel_id]
            while await self._db.write(lambda unit: publish_batch(unit, channel_id)):
                pass
            self._published(channel_id)
            self._done[channel_id] = served

    async def publish_waiting(self) -> None:
        """Publish whatever a process left dirty when it died between its change and its publishing."""
        for channel_id in await store.dirty_channels(self._db):
            await self.publish(channel_id)

    async def unfreeze(self, channel_id: int, end: Callable[[Unit], Awaitable[None]]) -> bool:
        """Stage what accumulated, then show it with one flip; `end(unit)` runs in the flip's own transaction.

        Returns False when the channel is not frozen (any more): of several who unfreeze at once, one does.
        """
        while await self._db.write(lambda unit: stage_batch(unit, channel_id)):
            pass

        async def flip(unit: Unit) -> bool:
            number = await _frozen_at(unit, channel_id)
            if number is None:
                return False
            await _render_batch(unit, channel_id, number + 1)
            await store.advance(unit, channel_id, number + 1)
            await channels.set_frozen(unit, channel_id, None)
            await changes.note(unit, "index", channel_id)
            await end(unit)
            return True

        flipped = await self._db.write(flip)
        await self.publish(channel_id)
        return flipped


async def publish_batch(unit: Unit, channel_id: int) -> bool:
    """Publish some dirty names as one revision; return whether more may wait."""
    number = await store.lock_head(unit, channel_id)
    channel = await channels.by_id(unit, channel_id)
    if number is None or channel is None or channel.frozen_at is not None:
        return False
    changed, more = await _render_batch(unit, channel_id, number + 1)
    if changed:
        await store.advance(unit, channel_id, number + 1)
        await changes.note(unit, "index", channel_id)
    return more


async def stage_batch(unit: Unit, channel_id: int) -> bool:
    """Put some dirty names of a frozen channel on the shelf of its next, still invisible, revision."""
    number = await _frozen_at(unit, channel_id)
    if number is None:
        return False
    _, more = await _render_batch(unit, channel_id, number + 1)
    return more


async def _frozen_at(unit: Unit, channel_id: int) -> int | None:
    """Take the publish lock and return the pinned revision; None when the channel is not frozen, or gone."""
    number = await store.lock_head(unit, channel_id)
    channel = await channels.by_id(unit, channel_id)
    return number if channel is not None and channel.frozen_at is not None else None


async def _render_batch(unit: Unit, channel_id: int, number: int) -> tuple[bool, bool]:
    """Render dirty names into revision `number` until the budget is spent; return (anything changed, more wait)."""
    waiting = await store.dirty_names(unit, channel_id, BATCH)
    if not waiting:
        return False, False
    await downloads.hold_totals(unit, [channel_id])
    deadline = monotonic() + BUDGET_SECONDS
    finished: list[int] = []
    changed = False
    # by name, so that each is described once
    for name, group in groupby(sorted(waiting, key=lambda row: row[2]), key=lambda row: row[2]):
        if finished and monotonic() > deadline:
            break
        rows = list(group)
        for partition in sorted({partition for _, partition, _ in rows}):
            changed |= await shelve(unit, channel_id, partition, name, number)
        await summarise(unit, channel_id, name)
        finished += [row_id for row_id, _, _ in rows]
    await store.clean(unit, finished)
    if not changed:  # only what is said of packages may be another
        await changes.note(unit, "package", channel_id)
    return changed, len(finished) < len(waiting) or len(waiting) == BATCH


async def shelve(unit: Unit, channel_id: int, partition: str, name: str, number: int) -> bool:
    """Let the shelf show what the catalogue says of one name from revision `number` on; return whether it changed."""
    rendered = render(await store.rows_of(unit, channel_id, partition, name))
    to = None
    if rendered is not None:
        to = await store.add_part(unit, rendered)
    shown = await store.open_part(unit, channel_id, partition, name)
    if (shown[1] if shown else None) == to:
        return False
    await store.put(unit, channel_id, partition, name, number, to, first=shown is None)
    return True
