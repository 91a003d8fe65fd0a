"""A tiny forward HTTP proxy: absolute targets for http, CONNECT for https, Basic login if wanted.

It resolves every host name to 127.0.0.1, so that tests can use public-looking names without leaving the machine.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """`async with Proxy() as proxy: proxy.url`; `proxy.targets` are the `METHOD target` it was asked for."""

    def __init__(self, login: str = "") -> None:
        self._wanted = "Basic " + b64encode(login.encode()).decode() if login else None
        self.targets: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request, then pass bytes both ways until either side closes."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        self.targets.append(f"{method} {target}")
        headers = dict(text.split(": ", 1) for text in rest if text)
        if self._wanted and headers.get("Proxy-Authorization") != self._wanted:
            writer.write(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            return
        url = urlsplit(target if "://" in target else f"//{target}")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", url.port or 80)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            kept = [text for text in rest if text and not text.startswith(("Proxy-", "Connection"))]
            up_writer.write(
                "\r\n".join([f"{method} {url.path} {version}", *kept, "Connection: close", "", ""]).encode()
            )
        try:
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        finally:
            up_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
