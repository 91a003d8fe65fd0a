"""One HTTP request over a real socket, with aiohttp; raw bytes for what no client library would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.kit.asgi import Answer

#: how long an answer may take to begin
BEGIN_SECONDS = 10.0
TIMEOUT = aiohttp.ClientTimeout(total=120)


async def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    data: bytes | AsyncIterator[bytes] | None = None,
) -> Answer:
    """Send one request and read the whole answer; redirects are not followed, nothing is decompressed."""
    keywords: dict[str, Any] = {"headers": headers, "data": data, "allow_redirects": False}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, auto_decompress=False, raise_for_status=False) as session,
        session.request(method, url, **keywords) as response,
    ):
        body = await response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)


async def raw(url: str, request: bytes) -> bytes:
    """Send `request` as it is and return what comes back until the server closes, or says nothing for two seconds.

    An answer has more time to begin.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    got = b""
    try:
        writer.write(request)
        await writer.drain()
        while block := await asyncio.wait_for(reader.read(65536), 2 if got else BEGIN_SECONDS):
            got += block
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return got
