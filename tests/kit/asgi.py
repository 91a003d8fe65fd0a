"""Talks to an ASGI application: in this process without a socket, or behind the real server on a free port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from granian.constants import Interfaces
from granian.server.embed import Server as Granian

from packhouse.doors.asgi import App, Receive, Scope, Send
from tests.kit.processes import accepts, free_port

Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


class Client:
    """Calls an application directly; `headers` go with every request."""

    def __init__(self, app: App, headers: Mapping[str, str] | None = None) -> None:
        self._app, self._headers = app, dict(headers or {})

    def with_headers(self, headers: Mapping[str, str]) -> Client:
        """Return a client that sends these as well."""
        return Client(self._app, {**self._headers, **headers})

    async def get(self, target: str, **headers: str) -> Answer:
        """GET; header names are written with `_` for `-`."""
        return await self.request("GET", target, headers)

    async def head(self, target: str, **headers: str) -> Answer:
        """HEAD."""
        return await self.request("HEAD", target, headers)

    async def put(self, target: str, body: bytes | Iterable[bytes], **headers: str) -> Answer:
        """PUT bytes with their length, or pieces without one."""
        if isinstance(body, bytes):
            return await self.request("PUT", target, {"content-length": str(len(body)), **headers}, [body])
        return await self.request("PUT", target, headers, body)

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] = (),
        *,
        breaks_off: bool = False,
    ) -> Answer:
        """Send a request for `target` as it stands on the wire; `breaks_off`: the client is gone after `body`."""
        path, _, query = target.partition("?")
        sent = {**self._headers, **(headers or {})}
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": unquote(path, errors="replace"),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(k.replace("_", "-").lower().encode(), v.encode("latin-1")) for k, v in sent.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "extensions": {"http.response.pathsend": {}},
        }
        got: list[Message] = []
        answered = asyncio.Event()

        async def send(message: Message) -> None:
            got.append(message)
            if message["type"] != "http.response.start" and not message.get("more_body"):
                answered.set()

        await self._app(scope, _receive(body, breaks_off, answered), send)
        return _answer(got)


def _receive(body: Iterable[bytes], breaks_off: bool, answered: asyncio.Event) -> Receive:
    pieces = iter(body)
    ended = False

    async def receive() -> Message:
        nonlocal ended
        await asyncio.sleep(0)
        piece = next(pieces, None)
        if piece is not None:
            return {"type": "http.request", "body": piece, "more_body": True}
        if breaks_off:
            return {"type": "http.disconnect"}
        if ended:
            await answered.wait()  # the client is there until it has its answer
            return {"type": "http.disconnect"}
        ended = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


def _answer(got: list[Message]) -> Answer:
    start, *rest = got
    assert start["type"] == "http.response.start", got
    body = b""
    for message in rest:
        if message["type"] == "http.response.pathsend":
            body += Path(message["path"]).read_bytes()
        else:
            body += message.get("body", b"")
    assert not rest or not rest[-1].get("more_body"), "the answer never ended"
    return Answer(start["status"], {k.decode(): v.decode("latin-1") for k, v in start["headers"]}, body)


@asynccontextmanager
async def listening(app: App) -> AsyncIterator[str]:
    """Serve `app`, which is started and stopped by whoever made it, and yield `http://127.0.0.1:PORT`."""
    port = free_port()
    server = Granian(_without_lifespan(app), "127.0.0.1", port, interface=Interfaces.ASGI, log_enabled=False)
    task = asyncio.create_task(server.serve())
    try:
        while not accepts(port):
            if task.done():
                task.result()
            await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it without types
        await task


def _without_lifespan(app: App) -> App:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
        else:
            await app(scope, receive, send)

    return wrapped
