"""The encoded documents of an index that one process remembers: small ones in memory, large ones in the cache folder.

The name of a file is the hash of its uncompressed bytes, so that replicas agree on the ETag and nothing is ever
overwritten with other bytes. Each process has a folder of its own, locked as long as it lives. Any file in it may
vanish: whoever misses one makes it again.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from packhouse.core.blobs.faults import disk_faults
from packhouse.formats.archives.zstandard import stream, zstd3
from packhouse.formats.base import Index, IndexDocument

#: bytes of documents kept in memory, and how many documents there may be at all
MOST_BYTES = 256 * 2**20
MOST_DOCUMENTS = 4096
#: bytes of files one process keeps: the largest public channel takes about 2 GiB
MOST_FILE_BYTES = 16 * 2**30
#: a superseded file stays this long for those who are just opening it, in seconds
LINGER_SECONDS = 2.0
_WHERE = "The folder of index documents"

#: channel id, partition, file name
Key = tuple[int, str, str]


class Document(NamedTuple):
    """One encoded document of a partition at a revision. It has either bytes in memory or a file."""

    revision: int  #: the revision that last changed what it shows
    etag: str  #: strong, by content; without quotes
    modified_at: int  #: microseconds: when that revision was committed
    size: int  #: bytes
    body: bytes = b""
    path: Path | None = None
    stamp: int = 0  #: the state of what it shows besides the revision, if it shows anything else


class Documents:
    """The documents of one process; those longest unused go first."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None
        self._kept: OrderedDict[Key, Document] = OrderedDict()
        self._bytes = self._file_bytes = 0

    def find(self, key: Key) -> Document | None:
        """Return what was kept under `key` last."""
        document = self._kept.get(key)
        if document is not None:
            self._kept.move_to_end(key)
        return document

    def keep(self, key: Key, document: Document) -> None:
        """Keep a document instead of the one kept so far."""
        self.drop(key)
        self._kept[key] = document
        self._bytes += len(document.body)
        self._file_bytes += document.size if document.path else 0
        while self._full():
            self.drop(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        """Forget a document; its file goes soon."""
        document = self._kept.pop(key, None)
        if document is not None:
            self._bytes -= len(document.body)
            if document.path is not None:
                self._file_bytes -= document.size
                asyncio.get_running_loop().call_later(LINGER_SECONDS, self._remove, document.path)

    def _full(self) -> bool:
        return self._bytes > MOST_BYTES or self._file_bytes > MOST_FILE_BYTES or len(self._kept) > MOST_DOCUMENTS

    def folder(self) -> Path:
        """Return this process's folder; the first call removes those of processes that ended."""
        if self._folder is None or not self._folder.is_dir():
            with disk_faults(_WHERE):
                self._root.mkdir(parents=True, exist_ok=True)
                for other in self._root.iterdir():
                    _remove_abandoned(other)
                self._folder = _own_folder(self._root)
        return self._folder

    def _remove(self, path: Path) -> None:
        if all(document.path != path for document in self._kept.values()):  # the same content may have come back
            path.unlink(missing_ok=True)


def encode(folder: Path, revision: int, modified_at: int, kind: IndexDocument, index: Index) -> dict[str, Document]:
    """Return a document of an index under each of its file names. Runs in a thread.

    Raises PackhouseError("storage_full"); then nothing is left behind, or a full disk would never get room again.
    """
    pieces = kind.make(index)
    if not kind.small and kind.plain is not None and kind.packed is None:
        return {kind.plain: write_plain(folder, revision, modified_at, pieces)}
    if kind.small:
        found = small(revision, modified_at, b"".join(pieces))
    else:
        found = write(folder, revision, modified_at, pieces)
    return {name: one for name, one in zip((kind.plain, kind.packed), found, strict=True) if name is not None}


def write(folder: Path, revision: int, modified_at: int, pieces: Iterable[bytes]) -> tuple[Document, Document]:
    """Write `pieces` plainly and as one zstd frame; return both documents. Raises as `encode`."""
    digest, compressor = hashlib.sha256(), stream()
    with disk_faults(_WHERE), ExitStack() as stack:
        (plain, plain_at), (packed, packed_at) = (_partial(folder, stack) for _ in range(2))
        for piece in pieces:
            digest.update(piece)
            plain.write(piece)
            packed.write(compressor.compress(piece))
        packed.write(compressor.flush())
        for file in (plain, packed):
            file.flush()
        name = digest.hexdigest()
        sizes = [file.tell() for file in (plain, packed)]
        plain_at = plain_at.replace(folder / f"{name}.plain")
        packed_at = packed_at.replace(folder / f"{name}.zst")
    return (
        Document(revision, name, modified_at, sizes[0], path=plain_at),
        Document(revision, f"{name}-zst", modified_at, sizes[1], path=packed_at),
    )


def write_plain(folder: Path, revision: int, modified_at: int, pieces: Iterable[bytes]) -> Document:
    """Write `pieces` of a document that has no compressed twin. Raises as `encode`."""
    digest = hashlib.sha256()
    with disk_faults(_WHERE), ExitStack() as stack:
        file, path = _partial(folder, stack)
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
        file.flush()
        size = file.tell()
        path = path.replace(folder / f"{digest.hexdigest()}.plain")
    return Document(revision, digest.hexdigest(), modified_at, size, path=path)


def small(revision: int, modified_at: int, body: bytes) -> tuple[Document, Document]:
    """Return both documents of a body small enough to stay in memory."""
    packed = zstd3(body)
    name = hashlib.sha256(body).hexdigest()
    return (
        Document(revision, name, modified_at, len(body), body),
        Document(revision, f"{name}-zst", modified_at, len(packed), packed),
    )


def _partial(folder: Path, stack: ExitStack) -> tuple[BinaryIO, Path]:
    handle, name = tempfile.mkstemp(prefix="partial-", dir=folder)
    stack.callback(Path(name).unlink, missing_ok=True)  # after its renaming there is none of that name
    return stack.enter_context(os.fdopen(handle, "wb")), Path(name)


def _own_folder(root: Path) -> Path:
    """Make a folder and hold its lock until this process ends."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=root))
        descriptor = os.open(folder, os.O_RDONLY)  # never closed: the lock goes with the process
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.is_dir():  # nobody took it for abandoned before we had the lock
            return folder
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:  # its process lives
        pass
    finally:
        os.close(descriptor)
