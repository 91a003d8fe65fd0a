"""From an entry to bytes that may be sent: held ones at once, passive ones after they were fetched and verified."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.entries import Entry
from packhouse.core.blobs import BlobStore
from packhouse.core.errors import PackhouseError
from packhouse.workflows.delivering.gate import Gate


class Deliverable(NamedTuple):
    """A file that may be sent now."""

    entry_id: int
    name: str
    sha256: str  #: lower-case hex; its strong ETag
    size: int  #: bytes
    modified_at: int  #: microseconds: when it became visible here
    path: Path


#: brings the bytes of a passive entry, however many ask at the same moment
Fetch = Callable[[Channel, Entry], Awaitable[object]]


class Files:
    """Opens files for one process."""

    def __init__(self, gate: Gate, blobs: BlobStore, fetch: Fetch) -> None:
        self._gate, self._blobs, self._fetch = gate, blobs, fetch

    async def open(self, channel: Channel, partition: str, filename: str) -> Deliverable:
        """Return a file of a channel the caller may download from.

        Raises PackhouseError: `not_found`, `hidden`, and for a passive file `upstream_failed` or `try_later`.
        """
        entry = await self._gate.entry(channel, partition, filename)
        if not entry.active:
            await self._fetch(channel, entry)
            entry = await self._gate.entry(channel, partition, filename)  # judged again on what it really is
        return await self._deliverable(entry)

    async def _deliverable(self, entry: Entry) -> Deliverable:
        if entry.sha256 is None or entry.size is None:
            raise PackhouseError("not_found", f"There is no file {entry.partition}/{entry.filename}.")
        sha256 = entry.sha256.hex()
        path = self._blobs.local_path(sha256) or await self._blobs.path(sha256, entry.size)
        return Deliverable(entry.id, entry.name, sha256, entry.size, entry.visible_at, path)
