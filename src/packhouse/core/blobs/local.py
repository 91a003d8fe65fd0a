"""Blobs in a local folder: `<root>/ab/<sha256>`."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from packhouse.core.blobs.base import MARKER, BlobStore
from packhouse.core.blobs.faults import BlobCorrupt, BlobMissing, away, disk_faults
from packhouse.core.blobs.flushing import MANY, flush_file_system, flush_folder
from packhouse.core.blobs.hashing import is_sha256, relative_name
from packhouse.core.blobs.ranges import read_range
from packhouse.core.blobs.spool import Spool, Spooled, Writer, finish_in_thread

_WHERE = "The folder of the package store"


class LocalStore(BlobStore):
    """Blobs in the folder `root`, which may be shared by several processes of one machine."""

    def __init__(self, root: Path) -> None:
        with disk_faults(_WHERE):
            super().__init__(Spool(root))
        self._root = root
        #: folders (`ab`) whose own entry this process knows to be on disk; at most 256 of them
        self._settled: set[str] = set()

    async def marker(self) -> str | None:
        """Read the file that has the id."""
        with disk_faults(_WHERE):
            try:
                return (self._root / MARKER).read_text(errors="replace").strip()
            except FileNotFoundError:
                return None

    async def mark(self, installation: str) -> str:
        """Write the file that has the id, whole or not at all, unless it is there."""
        with disk_faults(_WHERE):
            async with self.writer() as draft:
                await draft.write(f"{installation}\n".encode())
                os.fsync(draft.fd)
                if not (self._root / MARKER).exists():
                    draft.path.rename(self._root / MARKER)
            flush_folder(self._root)
        return await self.marker() or ""

    async def _publish(self, batch: Sequence[Spooled]) -> None:
        # In a thread: a flush takes 0.5 ms on a fast disk and 5 ms and more on a real one, for which the event loop
        # would stand still. Measured, 4 kB files: inline 1,900/s; in threads 1,800/s one after the other, 3,400/s
        # eight at once, since flushes overlap.
        try:
            await finish_in_thread(lambda: self._place(batch))
        except FileNotFoundError:
            self._settled.clear()  # someone removed a folder: look again next time
            raise away(_WHERE, "a folder in it was removed") from None

    def _place(self, batch: Sequence[Spooled]) -> None:
        with disk_faults(_WHERE):
            if len(batch) >= MANY:
                self._place_many(batch)
            else:
                for writer, hashes in batch:
                    self._place_one(writer, hashes.sha256)

    def _place_one(self, writer: Writer, sha256: str) -> None:
        os.fsync(writer.fd)
        folder = self._root / sha256[:2]
        if folder.name not in self._settled:
            folder.mkdir(exist_ok=True)  # perhaps another process just made it and has not flushed it yet
            flush_folder(self._root)
            self._settled.add(folder.name)
        self._name_it(writer, sha256)
        flush_folder(folder)

    def _place_many(self, batch: Sequence[Spooled]) -> None:
        """Place them with two flushes in all: one before the first gets its name, one after the last."""
        flush_file_system(self._root)
        made = {hashes.sha256[:2] for _, hashes in batch} - self._settled
        for prefix in made:
            (self._root / prefix).mkdir(exist_ok=True)
        for writer, hashes in batch:
            self._name_it(writer, hashes.sha256)
        flush_file_system(self._root)
        self._settled |= made

    def _name_it(self, writer: Writer, sha256: str) -> None:
        # over whatever is there: the bytes are the same, and if a bad disk changed them, this heals it
        writer.path.rename(self._file(sha256))

    def _file(self, sha256: str) -> Path:
        return self._root / relative_name(sha256)

    def local_path(self, sha256: str) -> Path | None:
        """Return the blob's file, if it is there."""
        path = self._file(sha256)
        return path if path.exists() else None

    async def path(self, sha256: str, size: int) -> Path:
        """Return the blob's file; its length is checked, its bytes were when they came in."""
        path = self._file(sha256)
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            raise BlobMissing(sha256) from None
        if found != size:
            raise BlobCorrupt(sha256)
        return path

    async def open_range(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield up to `length` bytes from offset `start`."""
        with disk_faults(_WHERE):
            try:
                file = self._file(sha256).open("rb", buffering=0)
            except FileNotFoundError:
                raise BlobMissing(sha256) from None
            with file:
                async for block in read_range(file.fileno(), start, length):
                    yield block

    async def exists(self, sha256: str) -> bool:
        """Tell whether the blob's file is there."""
        return self.local_path(sha256) is not None

    async def written_at(self, sha256: str) -> int | None:
        """Return the time of the blob's file, which bytes that come in again renew."""
        with disk_faults(_WHERE):
            try:
                return self._file(sha256).stat().st_mtime_ns // 1000
            except FileNotFoundError:
                return None

    async def delete(self, sha256: str) -> None:
        """Remove the blob's file, unflushed: if a power cut brings it back, it is swept again."""
        with disk_faults(_WHERE):
            self._file(sha256).unlink(missing_ok=True)

    async def iterate(self) -> AsyncIterator[tuple[str, int]]:
        """Yield (sha256, size) in ascending order; one thread hop for each of the 256 folders."""
        with disk_faults(_WHERE):
            for folder in await asyncio.to_thread(_folders, self._root):
                for blob in await asyncio.to_thread(_blobs, folder):
                    yield blob


def copy_folder(root: Path, target: Path) -> tuple[int, int]:
    """Copy the store in `root` to the new folder `target`, by hard links where it can: blobs never change.

    Returns how many blobs there are and their bytes. Raises OSError.
    """
    count = total = 0
    target.mkdir()
    shutil.copyfile(root / MARKER, target / MARKER)
    for folder in _folders(root):
        (target / folder.name).mkdir()
        for sha256, size in _blobs(folder):
            source, copied = (place / relative_name(sha256) for place in (root, target))
            try:
                copied.hardlink_to(source)
            except OSError:  # another file system, or one without links
                if not source.exists():
                    continue  # swept while we looked: the copied catalogue does not name it
                shutil.copyfile(source, copied)
            count, total = count + 1, total + size
    return count, total


def _folders(folder: Path) -> list[Path]:
    """Return the two-hex folders in `folder`, sorted; `incoming` and `partial` are none."""
    return sorted(entry for entry in folder.iterdir() if len(entry.name) == 2 and entry.is_dir())


def _blobs(folder: Path) -> list[tuple[str, int]]:
    """Return (sha256, size) of all blobs in `folder`, sorted."""
    return sorted((entry.name, entry.stat().st_size) for entry in os.scandir(folder) if is_sha256(entry.name))
