"""From a coordinate to bytes that may be sent: held ones at once, passive ones after they were fetched and verified."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.entries import Entry
from packhouse.core.blobs import BlobStore
from packhouse.core.errors import PackhouseError
from packhouse.workflows.delivering.gate import Gate

#: brings the bytes of a passive entry, however many ask at the same moment
Fetch = Callable[[Channel, Entry], Awaitable[object]]


class Files:
    """Opens files for one process."""

    def __init__(self, gate: Gate, blobs: BlobStore, fetch: Fetch) -> None:
        self._gate, self._blobs, self._fetch = gate, blobs, fetch

    @property
    def path_seconds(self) -> float:
        """How long a path may be used."""
        return self._blobs.path_seconds

    async def find(self, channel: Channel, family: str, partition: str, filename: str) -> Entry:
        """Return the active entry of a file in a channel the caller may download from.

        The same object as long as nothing changed. Raises PackhouseError: `not_found`, `hidden`, and for a passive
        file `upstream_failed` or `try_later`.
        """
        entry = await self._gate.entry(channel, family, partition, filename)
        if not entry.active:
            await self._fetch(channel, entry)
            entry = await self._gate.entry(channel, family, partition, filename)  # judged again on what it really is
        if entry.sha256 is None or entry.size is None or not entry.active:
            raise PackhouseError("not_found", f"There is no file {partition}/{filename[:200]}.")
        return entry

    async def path(self, entry: Entry) -> Path:
        """Return a local file with the entry's bytes; use it for `path_seconds` at most, then ask again."""
        sha256 = (entry.sha256 or b"").hex()
        return self._blobs.local_path(sha256) or await self._blobs.path(sha256, entry.size or 0)
