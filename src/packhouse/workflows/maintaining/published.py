"""What is published beside what the catalogue says (invariant I2): every name recomputed, in constant memory.

The house is open while this looks, so what differs is looked at again: a name that waits for publishing, or that was
published in between, is no difference.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from packhouse.catalog.channels import store as channels
from packhouse.core.db import Database
from packhouse.formats.archives.zstandard import unzstd_own
from packhouse.formats.base import Malformed
from packhouse.workflows.indexing import store as index
from packhouse.workflows.indexing.rendering import encode, identity
from packhouse.workflows.indexing.store import Key
from packhouse.workflows.indexing.summarising import summaries_of
from packhouse.workflows.maintaining import store
from packhouse.workflows.maintaining.store import StoredPart

#: names recomputed at a time
PAGE = 200
#: parts read at a time
PARTS = 200
#: how often something that differs is looked at again, and how long after, in seconds
LOOKS = 3
PAUSE_SECONDS = 0.5
#: no part expands beyond this, in bytes
MOST_BYTES = 1 << 31

T = TypeVar("T")


async def names_that_differ(db: Database, channel_id: int) -> AsyncIterator[tuple[str, str]]:
    """Yield (partition, name) of what the shelf shows otherwise than the catalogue says."""
    partitions = await store.partitions(db, channel_id)

    async def still(key: tuple[str, str]) -> bool:
        return await _name_differs(db, channel_id, *key)

    async for after, names in _spans(db, channel_id):
        shown: dict[Key, bytes] = {}
        for partition in partitions:
            shown |= await store.shown_between(db, channel_id, partition, after, _last(names))
        said = await _said(db, channel_id, partitions, names)
        suspects = [key for key in said.keys() | shown.keys() if said.get(key) != shown.get(key)]
        for key in await settled(suspects, still):
            yield key


async def packages_that_differ(db: Database, channel_id: int) -> AsyncIterator[str]:
    """Yield the names whose package rows are not what their visible files give."""

    async def still(name: str) -> bool:
        return await _package_differs(db, channel_id, name)

    async for after, names in _spans(db, channel_id):
        kept = await store.packages_between(db, channel_id, after, _last(names))
        said = await summaries_of(db, channel_id, names)
        suspects = {
            name for family, name in said.keys() | kept.keys() if said.get((family, name)) != kept.get((family, name))
        }
        for name in await settled(sorted(suspects), still):
            yield name


async def damaged_parts(db: Database) -> AsyncIterator[tuple[StoredPart, str]]:
    """Yield each part whose bytes are not those it is known by, and a sentence that says which."""
    after = 0
    while parts := await store.parts_after(db, after, PARTS):
        for part in parts:
            if sentence := damage(part):
                yield part, sentence
        after = parts[-1].id


def damage(part: StoredPart) -> str | None:
    """Say what is wrong with the bytes of a part, or None."""
    if hashlib.sha256(part.shard).digest() != part.shard_sha256:
        return "the shard's bytes do not have the hash it is published under"
    try:
        shard, fragment = unzstd_own(part.shard, MOST_BYTES), unzstd_own(part.fragment, MOST_BYTES)
    except Malformed as fault:
        return f"it cannot be read: {fault}"
    if identity(shard, fragment) != part.sha256:
        return "shard and fragment are not what the part is known by"
    return None


async def _spans(db: Database, channel_id: int) -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the names of files a page at a time, with the name each page lies above; the last page is empty."""
    after = ""
    while names := await store.names_after(db, channel_id, after, PAGE):
        yield after, names
        after = names[-1]
    yield after, []


def _last(names: list[str]) -> str | None:
    return names[-1] if names else None


async def settled(suspects: list[T], differs: Callable[[T], Awaitable[bool]]) -> list[T]:
    """Return those that differ however often one looks."""
    for look in range(LOOKS):
        if look and suspects:
            await asyncio.sleep(PAUSE_SECONDS)
        suspects = [one for one in suspects if await differs(one)]
    return suspects


async def _said(db: Database, channel_id: int, partitions: list[str], names: list[str]) -> dict[Key, bytes]:
    """Return (partition, name) → identity of the part that the catalogue gives."""
    rows = await index.rows_of(db, channel_id, partitions, names)
    return {key: identity(*encoded) for key, some in rows.items() if (encoded := encode(some)) is not None}


async def _name_differs(db: Database, channel_id: int, partition: str, name: str) -> bool:
    before = await store.state_of(db, channel_id, partition, name)
    digest = (await _said(db, channel_id, [partition], [name])).get((partition, name))
    # looked at on both sides of the rows: publishing forgets that a name waits in the same transaction
    after = await store.state_of(db, channel_id, partition, name)
    return before is not None and before == after == (False, before[1]) and digest != before[1]


async def _package_differs(db: Database, channel_id: int, name: str) -> bool:
    kept = await store.packages_of(db, channel_id, name)
    said = await summaries_of(db, channel_id, [name])
    return said != kept and await _is_settled(db, channel_id, name)


async def _is_settled(db: Database, channel_id: int, name: str) -> bool:
    """Tell whether the channel is still there, and the name does not wait for publishing in any partition."""
    return await channels.by_id(db, channel_id) is not None and not await store.waits(db, channel_id, name)
