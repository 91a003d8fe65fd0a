"""What is published beside what the catalogue says (invariant I2): every name recomputed, in constant memory.

The house is open while this looks, so what differs is looked at again: a name that waits for publishing, or that was
published in between, is no difference.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from packhouse.catalog.channels import store as channels
from packhouse.catalog.packages import contents
from packhouse.core.db import Database
from packhouse.formats.archives.zstandard import unzstd
from packhouse.formats.base import Malformed
from packhouse.workflows.indexing import store as index
from packhouse.workflows.indexing.needing import add_needs
from packhouse.workflows.indexing.rendering import encode, identity
from packhouse.workflows.indexing.store import IndexRow, VisibleFile
from packhouse.workflows.indexing.summarising import by_family, describe, held_versions, newest_held
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
Span = tuple[str, str | None]


async def names_that_differ(db: Database, channel_id: int) -> AsyncIterator[tuple[str, str]]:
    """Yield (partition, name) of what the shelf shows otherwise than the catalogue says."""
    partitions = await store.partitions(db, channel_id)

    async def still(key: tuple[str, str]) -> bool:
        return await _name_differs(db, channel_id, *key)

    async for after, until in _spans(db, channel_id):
        shown: dict[tuple[str, str], bytes] = {}
        for partition in partitions:
            shown |= await store.shown_between(db, channel_id, partition, after, until)
        said = await _said(db, channel_id, after, until) if until is not None else {}
        suspects = [key for key in said.keys() | shown.keys() if said.get(key) != shown.get(key)]
        for key in await _settled(suspects, still):
            yield key


async def packages_that_differ(db: Database, channel_id: int) -> AsyncIterator[str]:
    """Yield the names whose package rows are not what their visible files give."""

    async def still(name: str) -> bool:
        return await _package_differs(db, channel_id, name)

    async for after, until in _spans(db, channel_id):
        kept = await store.packages_between(db, channel_id, after, until)
        said = await _described(db, channel_id, after, until) if until is not None else {}
        suspects = {
            name for family, name in said.keys() | kept.keys() if said.get((family, name)) != kept.get((family, name))
        }
        for name in await _settled(sorted(suspects), still):
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
        shard, fragment = unzstd(part.shard, MOST_BYTES), unzstd(part.fragment, MOST_BYTES)
    except Malformed as fault:
        return f"it cannot be read: {fault}"
    if identity(shard, fragment) != part.sha256:
        return "shard and fragment are not what the part is known by"
    return None


async def _spans(db: Database, channel_id: int) -> AsyncIterator[Span]:
    """Yield ranges of names (above, up to) that together hold all; the last (None) lies above the names of files."""
    after = ""
    while names := await store.names_after(db, channel_id, after, PAGE):
        yield after, names[-1]
        after = names[-1]
    yield after, None


async def _settled(suspects: list[T], differs: Callable[[T], Awaitable[bool]]) -> list[T]:
    """Return those that differ however often one looks."""
    for look in range(LOOKS):
        if look and suspects:
            await asyncio.sleep(PAUSE_SECONDS)
        suspects = [one for one in suspects if await differs(one)]
    return suspects


async def _said(db: Database, channel_id: int, after: str, until: str) -> dict[tuple[str, str], bytes]:
    """Return (partition, name) → identity of the part that the catalogue gives."""
    rows: dict[tuple[str, str], list[IndexRow]] = defaultdict(list)
    for partition, name, row in await index.rows_between(db, channel_id, after, until):
        rows[partition, name].append(row)
    return {key: digest for key, some in rows.items() if (digest := identity_of(some)) is not None}


def identity_of(rows: list[IndexRow]) -> bytes | None:
    """Return the identity of the part that visible entries give; None when there are none."""
    encoded = encode(rows)
    return None if encoded is None else identity(*encoded)


async def _name_differs(db: Database, channel_id: int, partition: str, name: str) -> bool:
    before = await store.state_of(db, channel_id, partition, name)
    digest = identity_of(await index.rows_of(db, channel_id, partition, name))
    # looked at on both sides of the rows: publishing forgets that a name waits in the same transaction
    after = await store.state_of(db, channel_id, partition, name)
    return before is not None and before == after == (False, before[1]) and digest != before[1]


async def _described(db: Database, channel_id: int, after: str, until: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (family, name) → derived columns that the catalogue gives."""
    files: dict[str, list[VisibleFile]] = defaultdict(list)
    for name, file in await index.visible_between(db, channel_id, after, until):
        files[name].append(file)
    grouped = {(family, name): of for name, some in files.items() for family, of in by_family(some).items()}
    held = {key: content_id for key, of in grouped.items() if (content_id := newest_held(of)) is not None}
    facts = await contents.facts_of_many(db, list(set(held.values())))
    exports = await contents.run_exports_of(db, _contents_of(grouped.values()))
    said = {key: describe(key[1], of, facts.get(held.get(key, 0)), exports) for key, of in grouped.items()}
    await add_needs(db, [(said[key], of) for key, of in grouped.items()])
    return said


def _contents_of(packages: Iterable[list[VisibleFile]]) -> list[int]:
    return [content_id for files in packages for content_id in held_versions(files).values()]


async def _package_differs(db: Database, channel_id: int, name: str) -> bool:
    kept = await store.packages_of(db, channel_id, name)
    families = by_family(await index.visible_files(db, channel_id, name))
    held = {family: newest_held(files) or 0 for family, files in families.items()}
    facts = await contents.facts_of_many(db, list(held.values()))
    exports = await contents.run_exports_of(db, _contents_of(families.values()))
    said = {family: describe(name, files, facts.get(held[family]), exports) for family, files in families.items()}
    await add_needs(db, [(said[family], files) for family, files in families.items()])
    return said != kept and await _is_settled(db, channel_id, name)


async def _is_settled(db: Database, channel_id: int, name: str) -> bool:
    """Tell whether the channel is still there, and the name does not wait for publishing in any partition."""
    return await channels.by_id(db, channel_id) is not None and not await store.waits(db, channel_id, name)
