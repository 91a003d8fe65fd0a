"""What the blob store holds beside what the catalogue says it holds (invariants I1 and I4)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from packhouse.catalog.packages import integrity
from packhouse.core.blobs import BlobMissing, BlobStore
from packhouse.core.db import Database

#: contents read at a time
PAGE = 2000


class Content(NamedTuple):
    """A row of `content`, but one that is being deleted."""

    sha256: str  #: lower-case hex
    md5: str
    size: int
    owned: bool  #: whether an entry shows it


class Pair(NamedTuple):
    """One hash as the catalogue and the store know it; at least one of them does."""

    sha256: str
    content: Content | None
    size: int | None  #: bytes in the store


async def contents(db: Database, after: str = "") -> AsyncIterator[Content]:
    """Yield every content by SHA-256, those above `after`."""
    last = bytes.fromhex(after)
    while rows := await integrity.contents_after(db, last, PAGE):
        for sha256, md5, size, owned in rows:
            yield Content(bytes(sha256).hex(), bytes(md5).hex(), size, bool(owned))
        last = bytes(rows[-1][0])


async def pairs(db: Database, blobs: BlobStore) -> AsyncIterator[Pair]:
    """Yield every hash that the catalogue or the store knows, in ascending order and constant memory."""
    ours = contents(db)
    row = await anext(ours, None)
    async for sha256, size in blobs.iterate():
        while row is not None and row.sha256 < sha256:
            yield Pair(row.sha256, row, None)
            row = await anext(ours, None)
        if row is not None and row.sha256 == sha256:
            yield Pair(sha256, row, size)
            row = await anext(ours, None)
        else:
            yield Pair(sha256, None, size)
    while row is not None:
        yield Pair(row.sha256, row, None)
        row = await anext(ours, None)


async def wrong_bytes(blobs: BlobStore, content: Content) -> str | None:
    """Read a blob to its end and say what is wrong with its bytes, or None."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    length = content.size + 1 if content.size else 0  # one more than there should be; S3 has no ranges of nothing
    try:
        async for block in blobs.open_range(content.sha256, 0, length):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    except BlobMissing:
        return None  # said already, or deleted meanwhile
    if size != content.size:
        return f"the stored file has {size} bytes instead of {content.size}"
    if sha256.hexdigest() != content.sha256:
        return "the stored bytes have another SHA-256"
    if content.md5 and md5.hexdigest() != content.md5:
        return "the stored bytes have another MD5 than the catalogue says"
    return None
