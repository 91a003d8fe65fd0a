"""A bounded cache of blobs on local disk, for stores that are far away.

Files are published whole and verified, so several processes share one folder without talking. Each evicts on its own
when what it knows exceeds the limit; the limit is therefore kept within what the processes fill between two looks.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from packhouse.core.blobs.faults import BlobCorrupt
from packhouse.core.blobs.flushing import MANY, flush_file_system
from packhouse.core.blobs.hashing import is_sha256, relative_name
from packhouse.core.blobs.spool import Spool, Spooled, Writer, finish_in_thread

#: a file used this recently may be about to be opened by someone who just got its path
IN_USE_SECONDS = 10.0
#: evict down to this share of the limit, so that the folder is not looked through for each new file
_LOW_WATER = 0.9

Fetch = Callable[[Writer], Awaitable[None]]


class BlobCache:
    """The cache in `root`, of at most about `limit` bytes, that forgets the least recently used."""

    def __init__(self, root: Path, limit: int, spool: Spool) -> None:
        self._root = root
        self._limit = limit
        self._spool = spool
        self._fills: dict[str, asyncio.Task[Path]] = {}
        self._bytes = self._trim()

    def _file(self, sha256: str) -> Path:
        return self._root / relative_name(sha256)

    def find(self, sha256: str) -> Path | None:
        """Return the cached file and note that it was used, or None."""
        path = self._file(sha256)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    async def fill(self, sha256: str, fetch: Fetch) -> Path:
        """Return the cached file, fetched by `fetch` into a writer if it is not there.

        All who ask for one blob at the same time wait for one fetch, which goes on when one of them goes away.
        Raises BlobCorrupt, what `fetch` raises, and PackhouseError("storage_full").
        """
        if found := self.find(sha256):
            return found
        task = self._fills.get(sha256)
        if task is None:
            task = self._fills[sha256] = asyncio.ensure_future(self._fill(sha256, fetch))
            task.add_done_callback(lambda done: self._filled(sha256, done))
        return await asyncio.shield(task)

    def _filled(self, sha256: str, task: asyncio.Task[Path]) -> None:
        del self._fills[sha256]
        if not task.cancelled():
            task.exception()  # looked at, so that a fetch nobody waits for any more is not reported as lost

    async def _fill(self, sha256: str, fetch: Fetch) -> Path:
        async with self._spool.writer(self.adopt) as writer:
            await fetch(writer)
            if writer.hashes().sha256 != sha256:
                raise BlobCorrupt(sha256)
            await writer.commit()
        return self._file(sha256)

    async def adopt(self, batch: Sequence[Spooled]) -> None:
        """Take spooled files whose hashes are known into the cache."""
        await finish_in_thread(lambda: self._place(batch))

    def _place(self, batch: Sequence[Spooled]) -> None:
        # flushed, or after a power cut the cache could hold a file of the right name and length with other bytes
        if len(batch) >= MANY:
            flush_file_system(self._root)
        else:
            for writer, _ in batch:
                os.fsync(writer.fd)
        for writer, hashes in batch:
            path = self._file(hashes.sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            writer.path.rename(path)
            self._bytes += hashes.size
        if self._bytes > self._limit:
            self._bytes = self._trim()

    def drop(self, sha256: str) -> None:
        """Forget a blob."""
        self._file(sha256).unlink(missing_ok=True)

    def _trim(self) -> int:
        """Remove the least recently used files if the folder is over its limit; return the bytes it holds now.

        Used is what `find` was asked for: whoever remembers a path asks again before `IN_USE_SECONDS` are over.
        """
        files = sorted(_files(self._root))
        total = sum(size for _, size, _ in files)
        if total <= self._limit:
            return total
        newest = time.time() - IN_USE_SECONDS
        for used, size, path in files:
            if total <= self._limit * _LOW_WATER or used > newest:
                break
            if _remove_unused_since(path, used):
                total -= size
        return total


def _remove_unused_since(path: Path, used: float) -> bool:
    """Remove a file unless somebody was given it after `used`, the time we read; many files take seconds to list."""
    with suppress(FileNotFoundError):  # another process evicted it
        if path.stat().st_mtime != used:
            return False
        path.unlink()
    return True


def _files(root: Path) -> list[tuple[float, int, Path]]:
    """Return (last use, size, path) of every cached file."""
    found = []
    for path in root.glob("??/*"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another process evicted it
            continue
        if is_sha256(path.name):
            found.append((status.st_mtime, status.st_size, path))
    return found
