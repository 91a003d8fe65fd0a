"""What lies beside a package file, such as the metadata of a wheel (PEP 658): the caller passed the gate for the file.

Of files we hold it was read when they came. Of others the upstream is asked, and its bytes are those that the record
promises; they are kept in memory only, as each is small and its file will bring it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import contents
from packhouse.catalog.packages.entries import Entry
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.formats import registry
from packhouse.formats.archives.limits import DEFAULT
from packhouse.workflows.delivering.files import Files
from packhouse.workflows.indexing import store as index
from packhouse.workflows.mirroring.obtaining import fetcher_of, locate
from packhouse.workflows.services import Services

log = get_logger("packhouse.sidecars")
#: bytes of them kept
MOST_BYTES = 64 * 2**20


class Sidecars:
    """Finds what lies beside files, for one process."""

    def __init__(self, services: Services, files: Files) -> None:
        self._services, self._files = services, files
        self._kept: OrderedDict[str, bytes] = OrderedDict()  # by SHA-256
        self._bytes = 0

    async def get(self, channel: Channel, entry: Entry, suffix: str) -> tuple[str, bytes]:
        """Return the SHA-256 and the bytes of what is beside an entry under the file's name and `suffix`.

        Raises PackhouseError("not_found") when nothing of that kind is promised, and for a passive entry the refusals
        of fetching it.
        """
        promised = await self._promised(entry, suffix)
        if promised is None:
            raise _absent(entry, suffix)
        body = self._kept.get(promised)
        if body is not None:
            self._kept.move_to_end(promised)
            return promised, body
        body = await self._held(entry, suffix) if entry.active else await self._asked(entry, suffix, promised)
        if body is None:  # the file itself will tell
            entry = await self._files.find(channel, entry.family, entry.partition, entry.filename)
            body = await self._held(entry, suffix)
        if body is None or hashlib.sha256(body).hexdigest() != promised:
            raise _absent(entry, suffix)
        self._keep(promised, body)
        return promised, body

    async def _promised(self, entry: Entry, suffix: str) -> str | None:
        records = await index.records_of(self._services.db, [entry.record_id])
        text = records.get(entry.record_id)
        return registry.get(entry.family).sidecars(msgspec.json.decode(text)).get(suffix) if text else None

    async def _held(self, entry: Entry, suffix: str) -> bytes | None:
        facts = await contents.facts_of(self._services.db, entry.content_id or 0)
        text = facts.sidecars.get(suffix) if facts else None
        return None if text is None else text.encode()

    async def _asked(self, entry: Entry, suffix: str, promised: str) -> bytes | None:
        """Return the upstream's bytes if they are those promised; None when only the file itself can tell."""
        try:
            mirror, _, url = await locate(self._services.db, entry)
            async with fetcher_of(self._services, mirror) as fetcher:
                answer = await fetcher.get(url + suffix, max_bytes=DEFAULT.metadata)
        except PackhouseError as fault:
            log.info("no sidecar from the upstream", file=entry.filename, reason=str(fault))
            return None
        fits = answer.status == 200 and hashlib.sha256(answer.body).hexdigest() == promised
        return answer.body if fits else None

    def _keep(self, digest: str, body: bytes) -> None:
        self._kept[digest] = body
        self._bytes += len(body)
        while self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def _absent(entry: Entry, suffix: str) -> PackhouseError:
    return PackhouseError("not_found", f"There is no {entry.partition}/{entry.filename}{suffix}.")
