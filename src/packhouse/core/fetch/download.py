"""One verified download: the resume loop that owns the retries, whatever transport the bytes come through."""

from __future__ import annotations

import re

from packhouse.core.blobs.hashing import Hashes
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.answers import Answer, Ask
from packhouse.core.fetch.masking import mask_url
from packhouse.core.fetch.model import Expected, Sink, refusal
from packhouse.core.fetch.retry import Attempts, Transient

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Download:
    """The bytes of one file on their way into a sink, over as many connections as it takes.

    A piece is joined to what the sink has only when a hash will prove the whole, or the server's strong ETag says it
    is the same file (RFC 9110 section 13.1.5). When joined pieces prove wrong, the file is fetched once more whole.
    """

    def __init__(self, ask: Ask, url: str, sink: Sink, expect: Expected, max_bytes: int) -> None:
        self._ask = ask
        self._url = url
        self._sink = sink
        self._expect = expect
        self._max_bytes = max_bytes
        self._joined = sink.size > 0
        self._validator: str | None = None

    async def run(self, attempts: Attempts) -> Hashes:
        """Fetch, verify and return. Raises PackhouseError; the sink loses only bytes that are proved wrong."""
        if self._expect.size is not None and self._expect.size > self._max_bytes:
            raise self._too_large()
        while True:
            before = self._sink.size
            try:
                await self._receive()
                return await self._verified()
            except Transient as fault:
                attempts.note_progress(self._sink.size - before)
                await attempts.pause(fault)

    async def _receive(self) -> None:
        """Bring the sink from where it stands to the end of the file, over one connection."""
        offset = await self._usable_offset()
        if offset and offset == self._expect.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self._validator:
                headers["If-Range"] = self._validator
        async with self._ask("GET", headers) as answer:
            await self._accept(answer, offset)
            async for chunk in answer.chunks():
                if self._sink.size + len(chunk) > self._limit:
                    raise await self._wrong("it is longer than that", answer)
                await self._sink.write(chunk)

    async def _usable_offset(self) -> int:
        """Return where to go on; 0 when what the sink has cannot be joined safely."""
        offset = self._sink.size
        if offset > self._limit or (offset and not self._expect.has_hash and not self._validator):
            await self._start_over()
        return self._sink.size

    async def _accept(self, answer: Answer, offset: int) -> None:
        """Check status, range and announced size before the first byte is taken."""
        if answer.status == 416 or (answer.status == 206 and not self._continues(answer, offset)):
            await self._start_over()
            raise Transient(f"{answer.where} cannot go on from byte {offset}.")
        if answer.status == 200:
            if offset:
                await self._start_over()
        elif answer.status != 206:
            raise refusal(answer.where, answer.status)
        if self._expect.size is None and not self._expect.has_hash:
            answer.require_framing()
        if answer.length is not None and self._sink.size + answer.length > self._limit:
            raise await self._wrong(f"it has {self._sink.size + answer.length} bytes", answer)
        if answer.status == 206:
            self._joined = True
        self._validator = answer.etag if answer.etag and not answer.etag.startswith("W/") else None

    def _continues(self, answer: Answer, offset: int) -> bool:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        same = not (self._validator and answer.etag) or self._validator == answer.etag
        return bool(offset and found and int(found[1]) == offset and same)

    async def _verified(self) -> Hashes:
        """Return the hashes when they are as expected, else raise; joined pieces get a second chance."""
        hashes = self._sink.hashes()
        difference = self._expect.difference(hashes)
        if difference is None:
            return hashes
        joined = self._joined
        await self._start_over()
        if joined:
            raise Transient(f"The pieces of {self._where} do not fit together: {difference}.")
        raise self._mismatch(difference)

    async def _wrong(self, what: str, answer: Answer) -> PackhouseError | Transient:
        """Return the error for bytes that cannot be the expected ones, and drop what the sink has of them."""
        joined = self._joined
        await self._start_over()
        if self._expect.size is None:
            return self._too_large()
        if joined:
            return Transient(f"The pieces of {answer.where} do not fit together: {what}.")
        return self._mismatch(f"{what}, the record says {self._expect.size} bytes")

    async def _start_over(self) -> None:
        await self._sink.restart()
        self._joined = False
        self._validator = None

    @property
    def _where(self) -> str:
        return mask_url(self._url)

    @property
    def _limit(self) -> int:
        return self._max_bytes if self._expect.size is None else self._expect.size

    def _mismatch(self, difference: str) -> PackhouseError:
        return PackhouseError(
            "upstream_failed",
            f"{self._where} is not the file its record describes: {difference}.",
            "Nothing was kept. The upstream may be in the middle of a change; the next run tries again.",
            mismatch=True,
        )

    def _too_large(self) -> PackhouseError:
        return PackhouseError("upstream_failed", f"{self._where} is larger than the limit of {self._max_bytes} bytes.")
