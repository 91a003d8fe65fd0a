"""Package files of every format: what is sent for an entry that the gate let through, and what is counted."""

from __future__ import annotations

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.downloads import NOBODY, Download
from packhouse.catalog.packages.entries import Entry
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import monotonic
from packhouse.doors.serve.answers import Answer
from packhouse.doors.serve.sending import FRESH, Representation
from packhouse.workflows.delivering.files import Files

#: answers about files kept; about 2 kB each
CAPACITY = 20_000


class PackageFiles:
    """Makes answers of files for one process."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._prepared: dict[int, tuple[Entry, Representation, float]] = {}  # by entry id, whoever asks

    async def answer(
        self, principal: Principal, channel: Channel, family: str, partition: str, filename: str, *, afresh: bool
    ) -> Answer:
        """Return a file of a channel the caller may download from; passive ones are fetched first.

        With `afresh` what was prepared before is not used. Raises as `Files.find`.
        """
        entry = await self._files.find(channel, family, partition, filename)
        what, until = await self._prepare(entry, afresh)
        return Answer(what, until, _download(principal, channel, entry))

    async def _prepare(self, entry: Entry, afresh: bool) -> tuple[Representation, float]:
        """Return a file and until when (monotonic) it may be sent."""
        known = self._prepared.get(entry.id)
        if known is not None and known[0] is entry and known[2] > monotonic() and not afresh:
            return known[1], known[2]
        until = monotonic() + self._files.path_seconds
        what = Representation(
            etag=(entry.sha256 or b"").hex(),
            modified_at=entry.visible_at,
            size=entry.size or 0,
            cache=FRESH,
            path=await self._files.path(entry),
        )
        self._prepared.pop(entry.id, None)
        if len(self._prepared) >= CAPACITY:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[entry.id] = entry, what, until
        return what, until


def _download(principal: Principal, channel: Channel, entry: Entry) -> Download:
    return Download(
        entry.id,
        entry.record_id,
        entry.sha256 or b"",
        channel.id,
        channel.path,
        entry.family,
        entry.partition,
        entry.name,
        entry.filename,
        NOBODY if principal.account_id is None else principal.account_id,
        principal.token_id,
    )
