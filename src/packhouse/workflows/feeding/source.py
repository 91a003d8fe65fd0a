"""The bytes of a feed: fetched if they changed, or looked for on this machine."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from packhouse.catalog.vulnerabilities.sources import opened
from packhouse.core.blobs.spool import finish_in_thread
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher, FetchSettings
from packhouse.formats.base import Malformed
from packhouse.security.vulnerabilities.feeds import survey
from packhouse.workflows.feeding.turn import Turn

#: bytes of a feed as it is sent: all of OSV together has one gigabyte
MOST_BYTES = 4 * 2**30
_PORTS = {"http": 80, "https": 443}
_PIECE_BYTES = 1 << 20


class Source(NamedTuple):
    """What a feed's address has now. No paths: the same as when it was last taken in."""

    paths: list[Path]
    digest: bytes | None
    etag: str | None = None
    last_modified: str | None = None


@asynccontextmanager
async def source_of(turn: Turn) -> AsyncIterator[Source]:
    """Yield what the source has; files that were fetched go at the end.

    Raises PackhouseError: `upstream_failed`, `forbidden` for a private address that nobody named, `storage_full`,
    `internal` when the address does not open.
    """
    feed, address = turn.feed, opened(turn.services.sealer, turn.feed)
    if address.startswith("file:"):
        path = Path(unquote(urlsplit(address).path))
        yield _unless_known(turn, await finish_in_thread(lambda: _found(path)))
        return
    async with turn.services.blobs.writer() as writer, Fetcher(address, _settings(turn, address)) as fetcher:
        answer = await turn.job.unless_ended(
            fetcher.save(address, writer, max_bytes=MOST_BYTES, etag=feed.etag, last_modified=feed.last_modified)
        )
        if answer.require().status == 304:
            yield Source([], feed.digest, feed.etag, feed.last_modified)
            return
        digest = bytes.fromhex(writer.hashes().sha256)
        yield _unless_known(turn, Source([writer.path], digest, answer.etag, answer.last_modified))


def _unless_known(turn: Turn, source: Source) -> Source:
    return source._replace(paths=[]) if source.digest == turn.feed.digest else source


def _settings(turn: Turn, address: str) -> FetchSettings:
    """Return how the source is dialled. Feeds are named by administrators, so its own address may be private."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    own = f"{host}:{parts.port or _PORTS[parts.scheme]}"
    return FetchSettings(allowed_private=turn.services.settings.private_hosts | {own})


def _found(path: Path) -> Source:
    """Return the feeds in a file or folder, with one digest of all their bytes."""
    try:
        paths = [one for one, _ in survey(path)] if path.is_dir() else [path]
        if not paths:
            raise _unusable(path, "there is no feed in it yet")
        digest = hashlib.sha256()
        for one in paths:
            seen = one.stat()
            if not stat.S_ISREG(seen.st_mode):
                raise _unusable(one, "it is no file")  # a device, for example, has no end
            digest.update(f"{one.relative_to(path)}\0{seen.st_size}\0".encode("utf-8", "surrogateescape"))
            with one.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
    except Malformed as fault:
        raise _unusable(path, str(fault)) from None
    except OSError as fault:
        raise _unusable(path, str(fault.strerror)) from None
    return Source(paths, digest.digest())


def _unusable(path: Path, why: str) -> PackhouseError:
    return PackhouseError("upstream_failed", f"{path} cannot be read: {why.rstrip('.')}.", "Nothing was changed.")
