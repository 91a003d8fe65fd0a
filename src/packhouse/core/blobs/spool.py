"""Bytes on their way in: a local file that is hashed while it grows and then becomes a blob.

Every file here is locked (flock) by the process that writes it. So `clean` can tell a file whose writer was killed
from one in use, whatever process or age, and two processes never write one partial download.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self, TypeVar

from packhouse.core.blobs.faults import away, disk_faults
from packhouse.core.blobs.hashing import Hasher, Hashes, hash_file
from packhouse.core.errors import PackhouseError
from packhouse.core.hops import Hops

#: what one write does before it lets others run: 0.4 ms of hashing
SLICE_BYTES = 256 * 1024
#: a spool file is locked right after it is created; younger ones are left alone
_UNLOCKED_SECONDS = 60.0
_WHERE = "The folder for incoming packages"

#: what was received, and its hashes
Spooled = tuple["Writer", Hashes]
Publish = Callable[[Sequence[Spooled]], Awaitable[None]]
T = TypeVar("T")


async def finish_in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread and wait for its end even when cancelled, so that nothing is closed under its feet."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Writer:
    """One content being received, by `async with` or `open` and `close`; what is not committed then is removed.

    A writer from `partial` instead stays for a later process to go on with, unless `discard` is called. Mirrors open
    many of those while others are flushed, for which the file system makes whoever creates a file wait; so that the
    event loop does not, they are opened in threads, by `hops`.
    """

    def __init__(self, path: Path, publish: Publish, hops: Hops | None = None) -> None:
        self.path = path  #: the bytes received so far, for whoever inspects them before the commit
        self.fd = -1
        self.publish = publish  #: makes blobs of what several writers received
        self._hops = hops
        self._keep = hops is not None
        self.committed = False
        self._hasher = Hasher()

    @property
    def size(self) -> int:
        """Bytes received so far: where a resumed download goes on (`Range: bytes=<size>-`)."""
        return self._hasher.size

    async def __aenter__(self) -> Self:
        """Open it, as `open` does."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def open(self) -> None:
        """Open and lock the file, and hash what a killed predecessor left in it.

        Raises PackhouseError("try_later") when another writer has the same partial open.
        """
        if self._hops is None:
            self._open()
        elif await self._hops.run(self._open, lambda _: self.close()):
            try:
                with disk_faults(_WHERE):
                    self._hasher = await finish_in_thread(lambda: hash_file(self.path))
                    os.lseek(self.fd, self._hasher.size, os.SEEK_SET)
            except BaseException:
                self.close()
                raise

    def _open(self) -> int:
        """Open and lock the file; return its size."""
        with disk_faults(_WHERE):
            try:
                self.fd = _open_locked(self.path)
            except FileNotFoundError:
                raise away(_WHERE, "it is gone; is a disk not mounted?") from None
            return os.fstat(self.fd).st_size

    def close(self) -> None:
        """Close the file, and remove it unless it was committed or is to stay."""
        try:
            if not self.committed and not self._keep:
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self.fd)

    async def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes. Raises PackhouseError("storage_full" or "try_later")."""
        view = memoryview(chunk)
        for start in range(0, len(view), SLICE_BYTES):
            if start:
                await asyncio.sleep(0)
            self._append(view[start : start + SLICE_BYTES])

    def _append(self, part: memoryview) -> None:
        """Write, then hash what was written: on a full disk that can be less than all."""
        with disk_faults(_WHERE):
            while part:
                count = os.write(self.fd, part)
                self._hasher.update(part[:count])
                part = part[count:]

    def hashes(self) -> Hashes:
        """Return size and hashes of what was written so far."""
        return self._hasher.hashes()

    async def restart(self) -> None:
        """Forget the bytes received so far: the upstream has other ones now, or does not do ranges."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        self._hasher = Hasher()

    def discard(self) -> None:
        """Remove the file at the end even if it is a partial: its bytes proved wrong."""
        self._keep = False

    async def commit(self) -> Hashes:
        """Make the bytes a durable blob and return its hashes; no harm if the blob is there already.

        When it returns, the bytes outlive a power cut. Raises PackhouseError("storage_full" or "try_later").
        """
        await commit_all([self])
        return self.hashes()


async def commit_all(writers: Sequence[Writer]) -> None:
    """Commit several writers of one store together, which costs a fraction of one after the other.

    Raises what `Writer.commit` raises; some may be blobs by then.
    """
    if writers:
        await writers[0].publish([(writer, writer.hashes()) for writer in writers])
    for writer in writers:
        writer.committed = True


class Spool:
    """The folders of incoming and partial files inside `root`, on the file system where they will stay."""

    def __init__(self, root: Path) -> None:
        self._incoming = root / "incoming"
        self._partial = root / "partial"
        self._hops = Hops()
        for folder in (self._incoming, self._partial):
            folder.mkdir(parents=True, exist_ok=True)

    def writer(self, publish: Publish) -> Writer:
        """Return a writer into a fresh file."""
        return Writer(self._incoming / token_hex(16), publish)

    def partial(self, key: str, publish: Publish) -> Writer:
        """Return the writer that goes on where the last one with this key ended; any text is a key."""
        name = hashlib.sha256(key.encode()).hexdigest()[:40]
        return Writer(self._partial / f"{name}.part", publish, self._hops)

    def clean(self, older_than: float) -> int:
        """Remove files no living process writes; partials only when unchanged for `older_than` seconds."""
        return _clean(self._incoming, min(older_than, _UNLOCKED_SECONDS)) + _clean(self._partial, older_than)


def _open_locked(path: Path) -> int:
    """Open and lock `path`, created when missing. The writer before us may have renamed or removed it: look again."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(fd, path):
                return fd
        except BlockingIOError:
            os.close(fd)
            raise _busy() from None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _busy() -> PackhouseError:
    return away("This download", "another worker is busy with the same file")


def _is_same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _clean(folder: Path, older_than: float) -> int:
    limit = time.time() - older_than
    return sum(_remove_abandoned(path, limit) for path in folder.iterdir())


def _remove_abandoned(path: Path, limit: float) -> bool:
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_mtime > limit or not _is_same(fd, path):
            return False
        path.unlink()
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
