"""What one process remembers of the channels it serves: shard names by partition, brought forward by each change."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import msgspec

from packhouse.core.db import Database
from packhouse.workflows.indexing import store

#: names kept over all channels; about 150 bytes each
MOST_NAMES = 2_000_000
#: further behind than this, a view is loaded anew
MOST_REVISIONS = 10_000


class PartitionView(msgspec.Struct):
    """One partition at `ChannelView.number`."""

    changed_at: int  #: the revision that last changed it
    modified_at: int  #: microseconds: when that revision was committed
    shards: dict[str, bytes]  #: name → SHA-256 of its shard


class ChannelView:
    """One channel at a revision, with the partitions somebody asked for."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.partitions: dict[str, PartitionView] = {}
        #: held by whoever loads or brings forward, so that no change falls between the two
        self.lock = asyncio.Lock()


class Views:
    """The views of one process. A view is only ever brought forward, never changed by hand."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._views: OrderedDict[int, ChannelView] = OrderedDict()

    async def partition(self, channel_id: int, number: int, partition: str) -> PartitionView | None:
        """Return a partition at revision `number` or later; None when it never showed anything."""
        view = self._views.get(channel_id)
        if view is None:
            view = self._views[channel_id] = ChannelView(number)
        self._views.move_to_end(channel_id)
        if view.number < number or partition not in view.partitions:
            async with view.lock:
                if view.number < number:
                    await self._forward(channel_id, view, number)
                if partition not in view.partitions:
                    loaded = await self._load(channel_id, view.number, partition)
                    if loaded is None:  # not remembered: anybody may ask for any number of subdirs that never were
                        return None
                    view.partitions[partition] = loaded
            self._shrink()
        return view.partitions[partition]

    def forget(self) -> None:
        """Drop everything."""
        self._views.clear()

    async def _forward(self, channel_id: int, view: ChannelView, number: int) -> None:
        """Apply what changed since; after very many revisions loading anew costs less."""
        if number - view.number > MOST_REVISIONS:
            view.partitions.clear()
        else:
            for row in await store.shard_changes(self._db, channel_id, view.number, number):
                _apply(view.partitions, *row)
        view.number = number

    async def _load(self, channel_id: int, number: int, partition: str) -> PartitionView | None:
        changed_at = await store.last_change(self._db, channel_id, partition, number)
        if changed_at is None:
            return None
        shards = await store.shards_at(self._db, channel_id, partition, number)
        modified_at = await store.committed_at(self._db, channel_id, changed_at) or 0
        return PartitionView(changed_at, modified_at, shards)

    def _shrink(self) -> None:
        def size(view: ChannelView) -> int:
            return sum(len(one.shards) for one in view.partitions.values())

        total = sum(map(size, self._views.values()))
        while total > MOST_NAMES and len(self._views) > 1:
            _, oldest = self._views.popitem(last=False)
            total -= size(oldest)


def _apply(
    partitions: dict[str, PartitionView],
    revision: int,
    committed_at: int,
    partition: str,
    name: str,
    shard: bytes | None,
) -> None:
    known = partitions.get(partition)
    if known is None:  # nobody asked for it
        return
    known.changed_at, known.modified_at = revision, committed_at
    if shard is None:
        known.shards.pop(name, None)
    else:
        known.shards[name] = shard
