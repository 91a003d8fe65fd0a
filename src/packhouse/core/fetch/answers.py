"""One answer while its body is still on its way, whatever transport it comes through.

Bodies are read in chunks that a slow upstream cannot draw out, or whole with a cap, gzip or not.
"""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from packhouse.core.clock import SECOND, wall_micros
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.faults import FAULTS, translate
from packhouse.core.fetch.masking import mask_url
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.fetch.retry import Transient

_GZIP = frozenset({"gzip", "x-gzip"})
_BROKEN_OFF = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)
_PIECE_BYTES = 1 << 20
#: gzip of more than so many bytes expands to at most so many times its size: JSON comes to less than twenty
_NEVER_A_BOMB, _MOST_RATIO = 64 << 20, 50
#: a date that is so much older than its answer stands for one version only, whatever the clocks do
_TELLING_SECONDS = 2


class Answer:
    """Status and headers in HTTP's terms, of what the address after redirects answered."""

    def __init__(self, status: int, headers: Mapping[str, str], url: URL) -> None:
        self.status = status
        self.headers = headers
        self._url = url

    @property
    def where(self) -> str:
        """The masked address after redirects."""
        return mask_url(self._url)

    @property
    def etag(self) -> str | None:
        """The ETag as sent."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """The Last-Modified date as sent; None when it cannot tell this version from one of the same second.

        It can when it is so much older than the answer (RFC 9110 section 8.8.2.2), or than now for one without Date.
        """
        sent = self.headers.get("Last-Modified")
        try:
            modified = parsedate_to_datetime(sent or "").timestamp()
            dated = self.headers.get("Date")
            answered = parsedate_to_datetime(dated).timestamp() if dated else wall_micros() / SECOND
        except (ValueError, OverflowError):
            return None
        return sent if answered - modified >= _TELLING_SECONDS else None

    @property
    def length(self) -> int | None:
        """Content-Length in bytes: of the body as transferred."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else None

    def require_framing(self) -> None:
        """Refuse a body whose end cannot be told from a broken connection (RFC 9112 section 6.3, rule 8)."""
        if self.length is None and "Transfer-Encoding" not in self.headers:
            raise PackhouseError(
                "upstream_failed",
                f"{self.where} does not say how long its answer is, so a cut one would go unnoticed.",
                "The upstream must send Content-Length or chunks.",
            )

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as transferred. Raises Transient when it breaks off, stalls, or is too slow."""
        raise NotImplementedError

    async def body(self, max_bytes: int, *, may_inflate: bool) -> bytes:
        """Return the whole body, at most `max_bytes` both as transferred and inflated.

        Raises PackhouseError("upstream_failed") when it is larger, or comes in an encoding nobody asked for.
        """
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if may_inflate and encoding not in _GZIP and encoding != "identity":
            raise PackhouseError("upstream_failed", f"{self.where} sent {encoding}, an encoding not asked for.")
        pieces = self.capped(max_bytes)
        if may_inflate and encoding in _GZIP:
            pieces = self._capped(_inflated(pieces, self.where), max_bytes)
        found = io.BytesIO()  # a list, to be joined at its end, would take twice the memory
        async for piece in pieces:
            found.write(piece)
        return found.getvalue()

    def capped(self, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body as transferred. Raises as `body` does when it is larger than `max_bytes`."""
        if self.length is not None and self.length > max_bytes:
            raise self._too_large(max_bytes)
        return self._capped(self.chunks(), max_bytes)

    async def _capped(self, pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
        total = 0
        async for piece in pieces:
            total += len(piece)
            if total > max_bytes:
                raise self._too_large(max_bytes)
            yield piece

    def _too_large(self, max_bytes: int) -> PackhouseError:
        return PackhouseError("upstream_failed", f"{self.where} is larger than the limit of {max_bytes} bytes.")


#: sends one request for a fixed address, given method and headers
Ask = Callable[[str, dict[str, str]], AbstractAsyncContextManager[Answer]]


class HttpAnswer(Answer):
    """An answer of an HTTP server."""

    def __init__(self, response: aiohttp.ClientResponse, settings: FetchSettings) -> None:
        super().__init__(response.status, response.headers, response.url)
        self._content = response.content
        self._settings = settings

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body; only time spent waiting for the upstream counts, not what the reader of the chunks takes."""
        waited, received = 0.0, 0
        while True:
            start = time.monotonic()
            try:
                chunk = await self._content.readany()
            except FAULTS as error:
                # a closed connection hides what had arrived before it; a resumed download would fetch that twice
                if isinstance(error, _BROKEN_OFF) and (rest := self._content._read_nowait(-1)):
                    yield rest
                raise translate(error, self.where) from None
            if not chunk:
                return
            waited += time.monotonic() - start
            received += len(chunk)
            if waited >= self._settings.rate_window:
                if received < self._settings.min_rate * waited:
                    raise Transient(f"{self.where} sends only {received / waited:.0f} bytes per second.", weight=2)
                waited, received = 0.0, 0
            yield chunk


async def _inflated(chunks: AsyncIterator[bytes], where: str) -> AsyncIterator[bytes]:
    """Yield gzip inflated in pieces of at most 1 MiB, so that a bomb is noticed before it fills the memory."""
    member = zlib.decompressobj(wbits=31)
    empty = True
    received = inflated = 0
    async for chunk in chunks:
        data, empty = chunk, False
        received += len(chunk)
        while data:
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            try:
                piece = member.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise PackhouseError("upstream_failed", f"{where} sent gzip that cannot be read.") from None
            data = member.unused_data if member.eof else member.unconsumed_tail
            inflated += len(piece)
            if inflated > max(_NEVER_A_BOMB, _MOST_RATIO * received):
                raise PackhouseError(
                    "upstream_failed", f"{where} sent gzip that expands to more than {_MOST_RATIO} times its size."
                )
            yield piece
    for piece in _tail(member):
        yield piece
    if not (member.eof or empty):
        raise Transient(f"{where} sent gzip that ends too early.")


def _tail(member: zlib._Decompress) -> Iterator[bytes]:
    """Yield what is left inside a member whose whole input was taken."""
    while not member.eof and (piece := member.decompress(b"", _PIECE_BYTES)):
        yield piece
