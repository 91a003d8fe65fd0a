"""What one process remembers of the channels it serves: shard names by partition, brought forward by each change."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from packhouse.core.db import Database
from packhouse.workflows.indexing import store

#: names kept over all channels; about 150 bytes each
MOST_NAMES = 2_000_000


class PartitionView(msgspec.Struct):
    """One partition at `ChannelView.number`."""

    changed_at: int  #: the revision that last changed it
    modified_at: int  #: microseconds: when that revision was committed
    shards: dict[str, bytes]  #: name → SHA-256 of its shard


class ChannelView(msgspec.Struct):
    """One channel at a revision, with the partitions somebody asked for."""

    number: int
    partitions: dict[str, PartitionView | None] = {}


class Views:
    """The views of one process. A view is only ever brought forward, never changed by hand."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._views: OrderedDict[int, ChannelView] = OrderedDict()

    async def partition(self, channel_id: int, number: int, partition: str) -> PartitionView | None:
        """Return a partition at revision `number` or later; None when it never showed anything."""
        view = await self._at_least(channel_id, number)
        if partition not in view.partitions:
            loaded = await self._load(channel_id, view.number, partition)
            view.partitions.setdefault(partition, loaded)
        return view.partitions[partition]

    def forget(self, channel_id: int | None = None) -> None:
        """Drop what is remembered of one channel, or of all."""
        if channel_id is None:
            self._views.clear()
        else:
            self._views.pop(channel_id, None)

    async def _at_least(self, channel_id: int, number: int) -> ChannelView:
        view = self._views.get(channel_id)
        if view is None:
            view = self._views[channel_id] = ChannelView(number)
        self._views.move_to_end(channel_id)
        if view.number < number:
            await self._forward(channel_id, view, number)
        return view

    async def _forward(self, channel_id: int, view: ChannelView, number: int) -> None:
        rows = await store.shard_changes(self._db, channel_id, view.number, number)
        dates = {at: await store.committed_at(self._db, channel_id, at) or 0 for at in {row[0] for row in rows}}
        if view.number >= number:
            return  # somebody else brought it forward while we asked
        for at, partition, name, shard in rows:
            known = view.partitions.get(partition)
            if known is None:
                view.partitions.pop(partition, None)  # it may show something now
                continue
            known.changed_at, known.modified_at = at, dates[at]
            if shard is None:
                known.shards.pop(name, None)
            else:
                known.shards[name] = shard
        view.number = number

    async def _load(self, channel_id: int, number: int, partition: str) -> PartitionView | None:
        changed_at = await store.last_change(self._db, channel_id, partition, number)
        if changed_at is None:
            return None
        shards = await store.shards_at(self._db, channel_id, partition, number)
        modified_at = await store.committed_at(self._db, channel_id, changed_at) or 0
        self._shrink()
        return PartitionView(changed_at, modified_at, shards)

    def _shrink(self) -> None:
        def size(view: ChannelView) -> int:
            return sum(len(one.shards) for one in view.partitions.values() if one is not None)

        total = sum(map(size, self._views.values()))
        while total > MOST_NAMES and len(self._views) > 1:
            _, oldest = self._views.popitem(last=False)
            total -= size(oldest)
