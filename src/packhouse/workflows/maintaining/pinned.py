"""What a frozen channel promises beside what it has: each file of its pinned index must be there to be downloaded."""

from __future__ import annotations

from collections.abc import AsyncIterator

from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.archives.zstandard import unzstd_own
from packhouse.formats.base import Malformed
from packhouse.workflows.maintaining import store

#: names looked at together
PAGE = 200
#: no part expands beyond this, in bytes
MOST_BYTES = 1 << 31


async def missing_files(db: Database, channel_id: int) -> AsyncIterator[str]:
    """Yield `<subdir>/<filename>` of what the index of a frozen channel shows and the channel has no entry for."""
    revision = await store.pinned_at(db, channel_id)
    if revision is None:
        return
    for partition in await store.partitions(db, channel_id):
        after = ""
        while shards := await store.pinned_shards(db, channel_id, partition, revision, after, PAGE):
            until = shards[-1][0]
            there = await store.filenames_between(db, channel_id, partition, after, until)
            missing = [
                filename for _, shard in shards for filename in _filenames(partition, shard) if filename not in there
            ]
            if missing and await store.pinned_at(db, channel_id) != revision:
                return  # it thawed while this looked
            for filename in missing:
                yield f"{partition}/{filename}"
            after = until


def _filenames(partition: str, shard: bytes) -> list[str]:
    try:
        return registry.of_partition(partition).filenames(unzstd_own(shard, MOST_BYTES))
    except (Malformed, PackhouseError):
        return []  # said of the part already
