"""The one interface of the blob stores."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from packhouse.core.blobs.spool import Spool, Spooled, Writer

#: the name, beside the blobs, under which a store keeps the id of the installation it belongs to
MARKER = "packhouse-store"


class BlobStore(ABC):
    """Bytes by SHA-256 (lower-case hex). Bytes of a blob never change; a blob is there whole or not at all.

    Every method raises PackhouseError("try_later") when the store is away. Several processes may use one store.
    """

    #: how long a path that the store gave may be used without asking again, in seconds
    path_seconds: float = math.inf

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    @abstractmethod
    async def marker(self) -> str | None:
        """Return the id of the installation that the store belongs to; None when it has none yet."""

    @abstractmethod
    async def mark(self, installation: str) -> str:
        """Make the store an installation's unless it is one's; return the id that it has now."""

    def writer(self) -> Writer:
        """Return a writer for new bytes: `async with store.writer() as w`, `w.write`, `w.commit`."""
        return self._spool.writer(self._publish)

    def partial(self, key: str) -> Writer:
        """Return a writer that keeps what it got, for a download that a killed process must be able to go on with.

        `key` must name one version of the upstream bytes, for example URL and claimed hash: the bytes already there
        are trusted to be the beginning of what comes next. Opening it while another has it raises "try_later".
        """
        return self._spool.partial(key, self._publish)

    def clean_partial(self, older_than: float) -> int:
        """Remove what killed processes left: incoming files, and partials unchanged for `older_than` seconds.

        Call it at start-up and daily, on each node. Returns how many files went; files in use by any process stay.
        """
        return self._spool.clean(older_than)

    @abstractmethod
    async def _publish(self, batch: Sequence[Spooled]) -> None:
        """Make spooled bytes durable blobs, all of them or those before the first that failed."""

    @abstractmethod
    def local_path(self, sha256: str) -> Path | None:
        """Return the file on this machine's disk that holds the blob, if there is one; never waits for a network."""

    @abstractmethod
    async def path(self, sha256: str, size: int) -> Path:
        """Return a local file with the blob's bytes (`size` of them), fetched and verified first where needed.

        Open it soon: on S3 it lies in a cache that forgets. Raises BlobMissing or BlobCorrupt.
        """

    @abstractmethod
    def open_range(self, sha256: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield up to `length` bytes from offset `start` straight from the store, unverified. Raises BlobMissing."""

    @abstractmethod
    async def exists(self, sha256: str) -> bool:
        """Tell whether the store holds the blob."""

    @abstractmethod
    async def written_at(self, sha256: str) -> int | None:
        """Return when the blob came in, in microseconds by the store's clock, or None when there is no such blob."""

    @abstractmethod
    async def delete(self, sha256: str) -> None:
        """Remove a blob; no harm if it is gone. Only the sweeper calls this, under its lock."""

    @abstractmethod
    def iterate(self) -> AsyncIterator[tuple[str, int]]:
        """Yield (sha256, size) of every blob, in ascending order of sha256."""
