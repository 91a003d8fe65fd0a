"""Where downloads go to in tests."""

from __future__ import annotations

from packhouse.core.blobs.hashing import Hasher, Hashes


class MemorySink:
    """A sink that keeps the bytes in `body`."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._hasher = Hasher()

    @property
    def size(self) -> int:
        """Bytes it has."""
        return self._hasher.size

    @property
    def body(self) -> bytes:
        """All bytes so far."""
        return b"".join(self._chunks)

    async def write(self, chunk: bytes, /) -> None:
        """Append bytes."""
        self._hasher.update(chunk)
        self._chunks.append(chunk)

    async def restart(self) -> None:
        """Forget all bytes."""
        self._chunks.clear()
        self._hasher = Hasher()

    def hashes(self) -> Hashes:
        """Return size and hashes of all bytes so far."""
        return self._hasher.hashes()
