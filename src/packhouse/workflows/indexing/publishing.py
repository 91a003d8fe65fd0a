"""Publishing: the dirty names of a channel become its next revision, in short transactions.

Whoever changed something publishes it himself, so that an answer of 201 means installable; a crash in between leaves
the names dirty, and the worker's sweep publishes them. While a channel is frozen, nothing is published; unfreezing
stages everything that accumulated under the next number, which no reader sees, and then flips the head once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from packhouse.catalog import changes
from packhouse.catalog.channels import store as channels
from packhouse.catalog.packages import downloads, summaries
from packhouse.core.clock import monotonic
from packhouse.core.db import Database, Unit
from packhouse.core.log import get_logger
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.ahead import PROCESSES, Drafted, DraftingProcesses, Ended
from packhouse.workflows.indexing.drafting import NAMES, Draft, draft, in_steps

#: names looked at per transaction at most, how many of them are drafted at a time, and how long that may go on, in
#: seconds
BATCH = 500
STEP = 10
BUDGET_SECONDS = 0.03
#: when more than so many wait, as in a mirror's first run, they are drafted ahead by other processes; while those are
#: there anyway, when more than a few wait
MANY = 3000
FEW = 20
#: how long this process does without those after one could not live, in seconds
ALONE_SECONDS = 300.0

log = get_logger("packhouse.publishing")


class Publisher:
    """Publishes channels for one process; calls for a channel that is being published share the next round."""

    def __init__(self, db: Database, published: Callable[[int], None]) -> None:
        self._db = db
        self._drafting = DraftingProcesses(db.url)
        self._alone_until = 0.0  # when those processes may be tried again, after one was ended from outside
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
            await self._publish(channel_id)
            self._published(channel_id)
            self._done[channel_id] = served

    async def publish_waiting(self) -> None:
        """Publish whatever a process left dirty when it died between its change and its publishing."""
        faults: list[Exception] = []
        for channel_id in await store.dirty_channels(self._db):
            try:
                await self.publish(channel_id)
            except Exception as fault:  # of one channel, which the others do not wait for
                faults.append(fault)
        if faults:
            raise faults[0]

    def expect(self, names: int) -> None:
        """Let the processes that draft be there when so many names come to wait: they take a second to start."""
        if names > MANY and monotonic() > self._alone_until:
            with suppress(Ended):  # whoever publishes finds that out as well, and does without them
                self._drafting.start()

    async def unfreeze(self, channel_id: int, end: Callable[[Unit], Awaitable[None]]) -> bool:
        """Stage what accumulated, then show it with one flip; `end(unit)` runs in the flip's own transaction.

        Returns False when the channel is not frozen (any more): of several who unfreeze at once, one does.
        """
        await self._publish(channel_id, staging=True)

        async def flip(unit: Unit) -> bool:
            number = await _next(unit, channel_id, frozen=True)
            if number is None:
                return False
            await downloads.hold_totals(unit, [channel_id])
            await _shelve_waiting(unit, channel_id, number)
            await store.advance(unit, channel_id, number)
            await channels.set_frozen(unit, channel_id, None)
            await changes.note(unit, "index", channel_id)
            await end(unit)
            return True

        flipped = await self._db.write(flip)
        await self.publish(channel_id)
        return flipped

    async def _publish(self, channel_id: int, *, staging: bool = False) -> None:
        more = True
        while more:
            few = FEW if self._drafting.runs else MANY
            if monotonic() > self._alone_until and await store.beyond(self._db, channel_id, few):
                more = await self._publish_ahead(channel_id, staging)
            else:
                more = await self._db.write(partial(publish_batch, channel_id=channel_id, staging=staging))

    async def _publish_ahead(self, channel_id: int, staging: bool) -> bool:
        """Publish every name that waits now, once; return whether more may wait."""
        channel = await channels.by_id(self._db, channel_id)
        if channel is None or (channel.frozen_at is not None) is not staging:
            return False
        begun: deque[asyncio.Task[Drafted]] = deque()
        batches = _Batches(self._db, channel_id)
        try:
            while True:
                while len(begun) <= PROCESSES and (names := await batches.next()):
                    begun.append(self._drafting.draft(channel_id, names))
                if not begun:
                    return True
                drafts, left = await begun.popleft()
                batches.put_back(left)
                work = partial(publish_batch, channel_id=channel_id, ahead=drafts, staging=staging)
                if drafts and not await self._db.write(work):
                    return False
        except Ended as fault:
            log.warning("the index is rendered without processes of its own for now", error=str(fault))
            self._alone_until = monotonic() + ALONE_SECONDS
            self._drafting.end()  # others may have been started for the next batch before this one was known to be lost
            return True
        finally:
            await asyncio.gather(*begun, return_exceptions=True)

    def close(self) -> None:
        """Let go of the processes that draft, if there are some."""
        self._drafting.end()


class _Batches:
    """The names of a channel that wait for publishing, a few at a time, each once."""

    def __init__(self, db: Database, channel_id: int) -> None:
        self._db, self._channel_id = db, channel_id
        self._after = ""
        self._left: list[Sequence[str]] = []

    async def next(self) -> Sequence[str]:
        """Return some names; empty when there are no more."""
        if self._left:
            return self._left.pop()
        names = await store.names_waiting(self._db, self._channel_id, self._after, NAMES)
        self._after = names[-1] if names else self._after
        return names

    def put_back(self, names: Sequence[str]) -> None:
        """Take names that are to come again."""
        if names:
            self._left.append(names)


async def publish_batch(
    unit: Unit, channel_id: int, ahead: Sequence[Draft] | None = None, *, staging: bool = False
) -> bool:
    """Publish some dirty names as one revision, or those that were drafted ahead; return whether more may wait.

    With `staging` they are put on the shelf of the next revision of a frozen channel, which nobody sees yet.
    """
    number = await _next(unit, channel_id, frozen=staging)
    if number is None:
        return False
    await downloads.hold_totals(unit, [channel_id])
    if ahead is None:
        changed, more = await _shelve_waiting(unit, channel_id, number)
    else:
        changed, more = await _shelve(unit, channel_id, number, await _still_right(unit, channel_id, ahead)), True
    if changed and not staging:
        await store.advance(unit, channel_id, number)
        await changes.note(unit, "index", channel_id)
    return more


async def _next(unit: Unit, channel_id: int, *, frozen: bool) -> int | None:
    """Take the publish lock and return the number of the next revision; None when the channel is not as said."""
    number = await store.lock_head(unit, channel_id)
    channel = await channels.by_id(unit, channel_id)
    if number is None or channel is None or (channel.frozen_at is not None) is not frozen:
        return None
    return number + 1


async def _shelve_waiting(unit: Unit, channel_id: int, number: int) -> tuple[bool, bool]:
    """Draft and shelve dirty names until the budget is spent; return (anything changed, more may wait)."""
    waiting = await store.dirty_names(unit, channel_id, BATCH)
    names = list(dict.fromkeys(name for _, _, name in waiting))
    deadline = monotonic() + BUDGET_SECONDS
    changed = False
    for step, some in enumerate(in_steps(names, STEP)):
        if step and monotonic() > deadline:
            return changed, True
        drafts = await draft(unit, channel_id, [row for row in waiting if row[2] in some])
        changed |= await _shelve(unit, channel_id, number, drafts)
    return changed, len(waiting) == BATCH


async def _still_right(unit: Unit, channel_id: int, drafts: Sequence[Draft]) -> list[Draft]:
    """Return those of whose names nothing has changed, and nobody published any, since they were drafted."""
    waiting: dict[str, set[int]] = {one.name: set() for one in drafts}
    for number, _, name in await store.waiting_of(unit, channel_id, waiting):
        waiting[name].add(number)
    return [one for one in drafts if waiting[one.name] == set(one.answered)]


async def _shelve(unit: Unit, channel_id: int, number: int, drafts: Sequence[Draft]) -> bool:
    """Let shelf and package rows show what drafts say from revision `number` on; return whether the shelf changed."""
    parts = {(partition, one.name): part for one in drafts for partition, part in one.parts.items()}
    before = await store.shown(unit, channel_id, parts.keys())
    changed = {key: part for key, part in parts.items() if (part.sha256 if part else None) != before.get(key)}
    await store.add_parts(unit, filter(None, changed.values()))
    await store.show(
        unit, channel_id, number, {key: part.sha256 if part else None for key, part in changed.items()}, before
    )
    await summaries.put(
        unit, channel_id, [one.name for one in drafts], [said for one in drafts for said in one.packages.values()]
    )
    await store.clean(unit, [number for one in drafts for number in one.answered])
    if drafts and not changed:  # only what is said of packages may be another
        await changes.note(unit, "package", channel_id)
    return bool(changed)
