"""Who leaves has nothing done for them any more, in a real server."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from litestar import Request

from packhouse.doors.api.leaving import while_there
from packhouse.doors.asgi import Receive, Scope, Send
from tests.kit.asgi import listening


async def test_work_ends_when_the_client_leaves() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any, Any, Any] = Request(scope, receive, send)  # type: ignore[arg-type]  # ours are plain dictionaries
        while (await receive()).get("more_body"):
            pass
        await while_there(request, work())

    async with listening(app) as url:
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}")
        await asyncio.wait_for(begun.wait(), 60)
        assert not ended.is_set(), "as long as the client is there"
        writer.close()
        await asyncio.wait_for(ended.wait(), 60)
