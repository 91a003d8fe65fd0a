"""What a fake upstream can do wrong, and the small vocabulary of its server: Request, Answer, Connection."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field

_BLOCK = 65536


@dataclass(frozen=True)
class Request:
    """What a client asked. `path` has no leading slash; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """What is sent. Without a Content-Length in `headers` the length of `body` is announced."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Connection:
    """The sending half of one client connection; counts into `Upstream.bytes_sent`."""

    def __init__(self, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
        self._writer = writer
        self._count = count

    async def send(self, data: bytes) -> None:
        """Send body bytes."""
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            self._writer.write(block)
            await self._writer.drain()
            self._count(len(block))

    async def send_head(self, answer: Answer) -> None:
        """Send status line and headers."""
        lines = [f"HTTP/1.1 {answer.status} Whatever", *(f"{name}: {value}" for name, value in answer.headers.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._writer.drain()

    def drop(self) -> None:
        """Close in the middle; what was sent still arrives."""
        self._writer.close()


class Misbehaviour:
    """Changes what is answered, how it is sent, or both. As it stands it behaves well."""

    def answer(self, request: Request, good: Answer) -> Answer:
        """Return what to answer instead of `good`."""
        return good

    async def send(self, connection: Connection, body: bytes) -> None:
        """Send the body."""
        await connection.send(body)


@dataclass
class Slow(Misbehaviour):
    """Sends so many bytes per second; 0 is silence after the headers."""

    bytes_per_second: float

    async def send(self, connection: Connection, body: bytes) -> None:
        if not self.bytes_per_second:
            await asyncio.sleep(3600)
        step = max(1, int(self.bytes_per_second / 20))
        for start in range(0, len(body), step):
            await connection.send(body[start : start + step])
            await asyncio.sleep(step / self.bytes_per_second)


class SlowHeaders(Misbehaviour):
    """Takes the request and never answers."""

    async def send(self, connection: Connection, body: bytes) -> None:
        raise AssertionError("the headers never come")


@dataclass
class Drops(Misbehaviour):
    """Announces everything and closes the connection after `after` bytes, the first `times` times."""

    after: int
    times: int = 1

    async def send(self, connection: Connection, body: bytes) -> None:
        if self.times <= 0 or len(body) <= self.after:
            return await connection.send(body)
        self.times -= 1
        await connection.send(body[: self.after])
        return connection.drop()


@dataclass
class Truncated(Misbehaviour):
    """A well-formed answer with only the first `keep` bytes of the file."""

    keep: int

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(good.status, good.body[: self.keep], good.headers)


class WrongBytes(Misbehaviour):
    """As many bytes as the file has, but other ones."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(good.status, bytes(byte ^ 0xFF for byte in good.body), good.headers)


class Infinite(Misbehaviour):
    """A chunked body that never ends."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(200, b"", {"Transfer-Encoding": "chunked"})

    async def send(self, connection: Connection, body: bytes) -> None:
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        while True:
            await connection.send(chunk)


class EmptyGzipMembers(Misbehaviour):
    """A chunked gzip body that never ends, of members that hold nothing."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(200, b"", {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"})

    async def send(self, connection: Connection, body: bytes) -> None:
        members = gzip.compress(b"") * 500
        while True:
            await connection.send(b"%x\r\n%b\r\n" % (len(members), members))


class NoFraming(Misbehaviour):
    """Says neither length nor chunks; the end of the connection is the end of the body."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(good.status, good.body, good.headers | {"Content-Length": "", "Connection": "close"})


class Gzipped(Misbehaviour):
    """Sends the file with `Content-Encoding: gzip` if the client takes that."""

    def answer(self, request: Request, good: Answer) -> Answer:
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return good
        return Answer(good.status, gzip.compress(good.body), {"ETag": good.headers["ETag"], "Content-Encoding": "gzip"})


class MislabelledGzip(Misbehaviour):
    """Labels the file's own compression as `Content-Encoding: x-gzip`, as some CRAN mirrors do."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(good.status, good.body, good.headers | {"Content-Encoding": "x-gzip"})


@dataclass
class GzipBomb(Misbehaviour):
    """A small body that inflates to `size` zero bytes; made beforehand, or making it would stall the others."""

    size: int
    _body: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._body = gzip.compress(bytes(self.size), 9)

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(200, self._body, {"Content-Encoding": "gzip"})


@dataclass
class Redirect(Misbehaviour):
    """Redirects to `to`, relative or absolute; to its own address it is a loop."""

    to: str
    status: int = 302

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(self.status, b"moved", {"Location": self.to})


class Always304(Misbehaviour):
    """Answers 304 without a body, whatever was asked."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(304)


@dataclass
class Fails(Misbehaviour):
    """Answers `status` the first `times` times (429 and 503 with Retry-After if given), then well."""

    status: int
    times: int = 10**9
    retry_after: str | None = None

    def answer(self, request: Request, good: Answer) -> Answer:
        if self.times <= 0:
            return good
        self.times -= 1
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        return Answer(self.status, b"no", headers)


class NoRanges(Misbehaviour):
    """Ignores Range and sends the whole file with 200. Combine it with others after it."""


@dataclass
class Versions(Misbehaviour):
    """Serves the given contents one request after the other; the last one stays."""

    contents: list[bytes]
