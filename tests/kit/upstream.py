"""A fake upstream that misbehaves on command: a small HTTP/1.1 server in the test's own event loop.

    async with Upstream({"noarch/repodata.json": b"{}"}) as up:
        up.misbehave("noarch/repodata.json", Fails(503, times=2))
        ...  # talk to up.url; then look at up.hits("noarch/repodata.json")

It speaks HTTP by hand, because a good server library would refuse to lie about lengths. Good behaviour is ETag,
Last-Modified, Range with If-Range, HEAD and 304. Listens on 127.0.0.1, port 0.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from tests.kit.misbehaviour import (
    Always304,
    Answer,
    Connection,
    Drops,
    EmptyGzipMembers,
    Fails,
    GzipBomb,
    Gzipped,
    Infinite,
    Misbehaviour,
    MislabelledGzip,
    NoFraming,
    NoRanges,
    Redirect,
    Request,
    Slow,
    SlowHeaders,
    Truncated,
    Versions,
    WrongBytes,
)

__all__ = [
    "Always304",
    "Basic",
    "Drops",
    "EmptyGzipMembers",
    "Fails",
    "GzipBomb",
    "Gzipped",
    "Header",
    "Infinite",
    "Misbehaviour",
    "MislabelledGzip",
    "NoFraming",
    "NoRanges",
    "Redirect",
    "Request",
    "Slow",
    "SlowHeaders",
    "Truncated",
    "Upstream",
    "Versions",
    "WrongBytes",
    "read_request",
]

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"
LATER = "Sat, 21 Nov 2026 11:00:00 GMT"


@dataclass(frozen=True)
class Basic:
    """Only this user may read."""

    user: str
    password: str

    def admits(self, request: Request) -> bool:
        """Say whether the request carries the credential."""
        wanted = "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()
        return request.headers.get("authorization") == wanted


@dataclass(frozen=True)
class Header:
    """Only requests with this header may read, for example `Header("authorization", "Bearer T")`."""

    name: str
    value: str

    def admits(self, request: Request) -> bool:
        """Say whether the request carries the credential."""
        return request.headers.get(self.name.lower()) == self.value


class Upstream:
    """The server. `files` maps paths without leading slash to bytes, or is a folder."""

    def __init__(
        self,
        files: Mapping[str, bytes] | Path | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        require: Basic | Header | None = None,
    ) -> None:
        self._folder = files if isinstance(files, Path) else None
        self.files: dict[str, bytes] = {} if files is None or isinstance(files, Path) else dict(files)
        self.require = require
        #: another text gives every file another ETag, as the machines behind a load balancer do; None: there are none
        self.etags: str | None = ""
        self.types: dict[str, str] = {}  #: path → its Content-Type; others have none
        self.now = LATER  #: what it says in `Date`; everything was modified at DATE
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._misbehaviours: dict[str, tuple[Misbehaviour, ...]] = {}
        self._sent: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def hostport(self) -> str:
        """`127.0.0.1:<port>`, as an administrator names it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{self.hostport}"

    def misbehave(self, path: str, *how: Misbehaviour) -> None:
        """Misbehave on one path; answers pass through `how` in order, and the last one sends. None: behave again."""
        self._misbehaviours[path] = how

    def hits(self, path: str | None = None, method: str | None = None) -> int:
        """Count the requests for a path (None: all), also by method."""
        return sum(path in (None, seen.path) and method in (None, seen.method) for seen in self.requests)

    def bytes_sent(self, path: str) -> int:
        """Return how many body bytes went out for a path, over all requests."""
        return self._sent[path]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await read_request(reader)) is not None:
                await self._serve(request, writer)
                if writer.is_closing() or request.headers.get("connection") == "close":
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        how = self._misbehaviours.get(request.path, ())
        if any(isinstance(each, SlowHeaders) for each in how):
            await asyncio.sleep(3600)
        answer = self._good_answer(request, how)
        for each in how:
            answer = each.answer(request, answer)
        if "Transfer-Encoding" not in answer.headers:
            answer.headers.setdefault("Content-Length", str(len(answer.body)))
            if not answer.headers["Content-Length"]:
                del answer.headers["Content-Length"]
        connection = Connection(writer, lambda count: self._sent.update({request.path: count}))
        await connection.send_head(answer)
        if request.method != "HEAD" and answer.status != 304:
            await (how[-1] if how else Misbehaviour()).send(connection, answer.body)
        if answer.headers.get("Connection") == "close":
            connection.drop()

    def _good_answer(self, request: Request, how: tuple[Misbehaviour, ...]) -> Answer:
        if self.require and not self.require.admits(request):
            return Answer(401, b"who are you?", {"WWW-Authenticate": "Basic"})
        content = self._content(request.path, how)
        if content is None:
            return Answer(404, b"not here")
        headers = {"Last-Modified": DATE, "Date": self.now, "Accept-Ranges": "bytes"}
        if kind := self.types.get(request.path):
            headers["Content-Type"] = kind
        etag = ""
        if self.etags is not None:
            headers["ETag"] = etag = f'"{hashlib.sha256(self.etags.encode() + content).hexdigest()[:16]}"'
        asked = request.headers
        same = asked["if-none-match"] == etag if "if-none-match" in asked else asked.get("if-modified-since") == DATE
        if same:
            return Answer(304, b"", headers)
        ranges = not any(isinstance(each, NoRanges) for each in how) and asked.get("if-range", etag) in (etag, DATE)
        if ranges and asked.get("range", "").startswith("bytes="):
            return _partial(asked["range"], content, headers)
        return Answer(200, content, headers)

    def _content(self, path: str, how: tuple[Misbehaviour, ...]) -> bytes | None:
        for each in how:
            if isinstance(each, Versions):
                return each.contents.pop(0) if len(each.contents) > 1 else each.contents[0]
        if self._folder is not None:
            file = self._folder / path
            return file.read_bytes() if file.is_file() else None
        return self.files.get(path)


def _partial(wanted: str, content: bytes, headers: dict[str, str]) -> Answer:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    if start >= len(content):
        return Answer(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
    return Answer(206, content[start : end + 1], headers | {"Content-Range": f"bytes {start}-{end}/{len(content)}"})


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request head; None when the client closed. The target is kept as the path, unquoted."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head.split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest if text)}
    return Request(method, unquote(target.split("?", 1)[0]).lstrip("/"), headers)
