"""What a frozen channel promises beside what it has: each file of its pinned index must be there to be downloaded."""

from __future__ import annotations

from collections.abc import AsyncIterator

from packhouse.core.db import Database
from packhouse.formats.base import Malformed
from packhouse.formats.conda.upstream import parse_shard
from packhouse.workflows.maintaining import store

#: names looked at together
PAGE = 200


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
            missing = [filename for _, shard in shards for filename in _filenames(shard) if filename not in there]
            if missing and await store.pinned_at(db, channel_id) != revision:
                return  # it thawed while this looked
            for filename in missing:
                yield f"{partition}/{filename}"
            after = until


def _filenames(shard: bytes) -> list[str]:
    try:
        index = parse_shard(shard)
    except Malformed:
        return []  # said of the part already
    return [*index.packages, *index.packages_conda]
