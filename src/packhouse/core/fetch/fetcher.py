"""The door out: one `Fetcher` per source, for indexes (`get`), questions (`head`) and packages (`download`)."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from yarl import URL

from packhouse.core.blobs.hashing import Hashes
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.answers import Answer, Ask
from packhouse.core.fetch.download import Download
from packhouse.core.fetch.files import FileSource
from packhouse.core.fetch.guard import Refused
from packhouse.core.fetch.http import HttpSource
from packhouse.core.fetch.masking import mask_url
from packhouse.core.fetch.model import Expected, FetchSettings, Response, Sink
from packhouse.core.fetch.retry import Attempts, Transient

#: what is compressed already is asked for as it is; some servers would label it `Content-Encoding: gzip`
_COMPRESSED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".conda", ".zip", ".whl", ".rds", ".egg", ".7z")


class Fetcher:
    """Fetches from one source: `async with Fetcher("https://conda.example.org/main/", settings) as fetcher`.

    `source` is an http, https or file URL, taken as a folder; a user and password in it become HTTP Basic. URLs given
    to the methods are relative to it or absolute. Absolute ones may lead to other public hosts, without credentials.
    """

    def __init__(self, source: str, settings: FetchSettings | None = None) -> None:
        self._settings = settings or FetchSettings()
        base = _folder(source)
        self._transport = (FileSource if base.scheme == "file" else HttpSource)(base, self._settings)

    async def __aenter__(self) -> Self:
        """Open the source. Raises Refused for a tree nobody named, "bad_request" for unusable certificates."""
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def get(
        self,
        url: str,
        *,
        max_bytes: int,
        etag: str | None = None,
        last_modified: str | None = None,
        accept: str = "*/*",
    ) -> Response:
        """Return a whole index in memory: 200, 304 (only when `etag` or `last_modified` was given) or a 4xx.

        `max_bytes` caps the body as transferred and inflated. Bodies of 4xx are empty. Nothing proves an index; that
        it is whole is checked. Raises PackhouseError("upstream_failed", or "forbidden" for a private address).
        """
        inflate = not url.split("?", 1)[0].lower().endswith(_COMPRESSED)
        headers = {"Accept": accept, "Accept-Encoding": "gzip" if inflate else "identity"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        ask, attempts = self._ask(url), Attempts(self._settings)
        while True:
            try:
                async with ask("GET", headers) as answer:
                    _require_status(answer, conditional=bool(etag or last_modified))
                    return _response(answer, await _body(answer, max_bytes, inflate))
            except Transient as fault:
                await attempts.pause(fault)

    async def save(
        self, url: str, sink: Sink, *, max_bytes: int, etag: str | None = None, last_modified: str | None = None
    ) -> Response:
        """Bring a whole file that nothing proves into `sink`, if it changed: as `get`, with an empty body.

        The sink is empty unless the answer is 200. Raises as `get` does.
        """
        headers = {"Accept-Encoding": "identity"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        ask, attempts = self._ask(url), Attempts(self._settings)
        while True:
            try:
                await sink.restart()
                async with ask("GET", headers) as answer:
                    _require_status(answer, conditional=bool(etag or last_modified))
                    if answer.status == 200:
                        answer.require_framing()
                        async for piece in answer.capped(max_bytes):
                            await sink.write(piece)
                    return _response(answer, b"")
            except Transient as fault:
                attempts.note_progress(sink.size)
                await attempts.pause(fault)

    async def head(self, url: str) -> Response:
        """Return status and headers, `size` being the stated one. Raises as `get` does."""
        ask, attempts = self._ask(url), Attempts(self._settings)
        while True:
            try:
                async with ask("HEAD", {"Accept-Encoding": "identity"}) as answer:
                    _require_status(answer, conditional=False)
                    return _response(answer, b"")
            except Transient as fault:
                await attempts.pause(fault)

    async def download(self, url: str, sink: Sink, *, expect: Expected, max_bytes: int) -> Hashes:
        """Bring one file into `sink` and prove it is the expected one; goes on from the bytes the sink has.

        Returns only when size and every given hash agree; only then may the caller commit the sink. Without any hash
        the file is at least whole. Bytes are `max_bytes` at most. Raises PackhouseError("upstream_failed"), with
        `details["upstream_status"]` for a 4xx and `details["mismatch"]` for other bytes than expected (the sink is
        empty then); after other faults the sink keeps its bytes for a later call. Raises "forbidden" as `get` does.
        """
        return await Download(self._ask(url), url, sink, expect, max_bytes).run(Attempts(self._settings))

    def _ask(self, url: str) -> Ask:
        target = self._transport.locate(url)
        return lambda method, headers: self._transport.exchange(method, target, headers)


def _folder(source: str) -> URL:
    try:
        url = URL(source)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https", "file") or (url.scheme != "file" and not url.raw_host):
        raise Refused(f"{mask_url(source)} is no http, https or file address.", "Check the source's address.")
    return url if url.raw_path.endswith("/") else url.with_path(f"{url.raw_path}/", encoded=True)


def _require_status(answer: Answer, *, conditional: bool) -> None:
    """Refuse statuses no index can have, such as a 304 to a question without a condition."""
    if answer.status == 200 or 400 <= answer.status < 500 or (answer.status == 304 and conditional):
        return
    raise PackhouseError("upstream_failed", f"{answer.where} answered {answer.status}, which was not asked for.")


async def _body(answer: Answer, max_bytes: int, inflate: bool) -> bytes:
    if answer.status != 200:
        return b""
    answer.require_framing()
    return await answer.body(max_bytes, may_inflate=inflate)


def _response(answer: Answer, body: bytes) -> Response:
    return Response(
        status=answer.status,
        body=body,
        etag=answer.etag,
        last_modified=answer.last_modified,
        content_type=answer.headers.get("Content-Type", ""),
        size=answer.length,
        url=answer.where,
    )
