"""A lean HTTP/1.1 client over one kept connection, so that what is measured is the server and not the client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """One response; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method in ("POST", "PUT"):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One connection to a server of this machine, for one request at a time."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", buffering=1 << 16)
        self._headers = dict(headers or {})

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a request and read its answer; header names are given with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._socket.sendall(request(method, path, {**self._headers, **named}, body))
        status, found = _head(self._line(), iter(self._line, b"\r\n"))
        if status in (204, 304) or method == "HEAD":
            return Answer(status, found, b"")
        if found.get("transfer-encoding") == "chunked":
            return Answer(status, found, self._chunks())
        return Answer(status, found, self._file.read(int(found.get("content-length", 0))))

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        return line

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._file.readline(), 16):
            parts.append(self._file.read(size))
            self._file.readline()
        self._file.readline()
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the connection."""
        self._file.close()
        self._socket.close()


async def send_all(port: int, requests: list[bytes], clients: int, good: tuple[int, ...] = (200, 201)) -> None:
    """Send the requests over `clients` connections at once; raises RuntimeError at the first unwelcome status."""
    waiting = iter(requests)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for one in waiting:
                writer.write(one)
                status, body = await _answer(reader)
                if status not in good:
                    raise RuntimeError(f"{one[:80]!r} was answered with {status}: {body[:500]!r}")
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    status, headers = _head(lines[0], iter(line for line in lines[1:] if line))
    return status, await reader.readexactly(int(headers.get("content-length", 0)))


def _head(first: bytes, rest: Iterable[bytes]) -> tuple[int, dict[str, str]]:
    headers = {}
    for line in rest:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(first.split(b" ", 2)[1]), headers
