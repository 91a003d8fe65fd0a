"""Large documents of an index, written to the cache folder and sent from there.

The name of a file is the hash of its uncompressed bytes, so that processes of one machine share it, replicas agree on
the ETag, and nothing is ever overwritten with other bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from packhouse.formats.archives.zstandard import stream, zstd3


class Document(NamedTuple):
    """One encoded document of a partition at a revision. It has either bytes in memory or a file."""

    revision: int  #: the revision that last changed what it shows
    etag: str  #: strong, by content; without quotes
    modified_at: int  #: microseconds: when that revision was committed
    size: int  #: bytes
    body: bytes = b""
    path: Path | None = None


def in_memory(revision: int, modified_at: int, body: bytes, canonical: bytes) -> Document:
    """Return a document kept in memory; its ETag is the hash of the canonical bytes."""
    return Document(revision, hashlib.sha256(canonical).hexdigest(), modified_at, len(body), body)


def write(folder: Path, revision: int, modified_at: int, pieces: Iterable[bytes]) -> tuple[Document, Document]:
    """Write `pieces` plainly and as one zstd frame; return both documents. Runs in a thread."""
    folder.mkdir(parents=True, exist_ok=True)
    digest, compressor = hashlib.sha256(), stream()
    with ExitStack() as stack:
        (plain, plain_at), (packed, packed_at) = (_partial(folder, stack) for _ in range(2))
        for piece in pieces:
            digest.update(piece)
            plain.write(piece)
            packed.write(compressor.compress(piece))
        packed.write(compressor.flush())
        name = digest.hexdigest()
        sizes = [file.tell() for file in (plain, packed)]
    plain_at = plain_at.replace(folder / f"{name}.json")
    packed_at = packed_at.replace(folder / f"{name}.json.zst")
    return (
        Document(revision, name, modified_at, sizes[0], path=plain_at),
        Document(revision, f"{name}-zst", modified_at, sizes[1], path=packed_at),
    )


def small(revision: int, modified_at: int, body: bytes) -> tuple[Document, Document]:
    """Return both documents of a body small enough to stay in memory."""
    packed = zstd3(body)
    plain = in_memory(revision, modified_at, body, body)
    return plain, Document(revision, f"{plain.etag}-zst", modified_at, len(packed), packed)


def _partial(folder: Path, stack: ExitStack) -> tuple[BinaryIO, Path]:
    handle, name = tempfile.mkstemp(prefix="partial-", dir=folder)
    return stack.enter_context(os.fdopen(handle, "wb")), Path(name)
