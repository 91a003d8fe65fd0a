"""Upstreams that speak broken HTTP: always an error a person can read, soon, and never a wrong success."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Expected, Fetcher, FetchSettings, Response
from tests.kit.sinks import MemorySink

OK = b"HTTP/1.1 200 OK\r\n"


def _forever(head: bytes, block: bytes) -> Callable[[], list[bytes]]:
    return lambda: [head, *[block] * 2000]


def _once(data: bytes) -> Callable[[], list[bytes]]:
    return lambda: [data]


ANSWERS = {
    "nothing": _once(b""),
    "no http": _once(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "tls record": _once(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "half a status line": _once(b"HTTP/1.1 20"),
    "bad status": _once(b"HTTP/1.1 9999 OK\r\n\r\n"),
    "bad version": _once(b"HTTP/9.9 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    "negative length": _once(OK + b"Content-Length: -1\r\n\r\nx"),
    "wordy length": _once(OK + b"Content-Length: many\r\n\r\nx"),
    "two lengths": _once(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "length and chunks": _once(OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
    "bad chunk size": _once(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
    "huge chunk size": _once(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n"),
    "cut chunk": _once(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
    "missing last chunk": _once(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    "cut body": _once(OK + b"Content-Length: 10\r\n\r\nabc"),
    "long header": _once(OK + b"X: " + b"a" * 100_000 + b"\r\nContent-Length: 1\r\n\r\nx"),
    "endless header": _forever(OK + b"X: ", b"a" * 10_000),
    "endless headers": _forever(OK, b"X-Header: 1\r\n" * 1000),
    "endless early answers": _forever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "header without colon": _once(OK + b"oops\r\nContent-Length: 1\r\n\r\nx"),
    "nul in header": _once(OK + b"X: a\0b\r\nContent-Length: 1\r\n\r\nx"),
    "broken gzip": _once(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
    "cut gzip": _once(OK + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    "unknown encoding": _once(OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
    "switching protocols": _once(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"),
    "redirect to nowhere": _once(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
}


@asynccontextmanager
async def raw_server(make: Callable[[], list[bytes]]) -> AsyncIterator[str]:
    """Yield `host:port` of a server that answers every request head with the given bytes and closes."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in make():
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def fetcher_for(hostport: str) -> Fetcher:
    """Return a fetcher that gives up soon."""
    quick = FetchSettings(
        allowed_private=frozenset({hostport}), backoff=0.001, attempts=2, answer_timeout=1, stall_timeout=1, proxy=""
    )
    return Fetcher(f"http://{hostport}", quick)


@pytest.mark.parametrize("name", [name for name in ANSWERS if "gzip" not in name and "encoding" not in name])
async def test_a_download_fails_in_words(name: str) -> None:
    async with raw_server(ANSWERS[name]) as hostport, fetcher_for(hostport) as fetcher:
        sink = MemorySink()
        async with asyncio.timeout(60):
            with pytest.raises(PackhouseError) as caught:
                await fetcher.download("x", sink, expect=Expected(sha256="0" * 64), max_bytes=1000)
    assert caught.value.code == "upstream_failed"
    assert hostport in str(caught.value)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_index_fails_in_words(name: str) -> None:
    async with raw_server(ANSWERS[name]) as hostport, fetcher_for(hostport) as fetcher:
        async with asyncio.timeout(60):
            with pytest.raises(PackhouseError) as caught:
                await fetcher.get("x", max_bytes=1000)
    assert caught.value.code == "upstream_failed"


@given(st.binary(max_size=300), st.sampled_from([b"", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_noise_never_escapes_as_anything_else(noise: bytes, start: bytes) -> None:
    async def attempt() -> None:
        async with raw_server(_once(start + noise)) as hostport, fetcher_for(hostport) as fetcher:
            try:
                response = await fetcher.get("x", max_bytes=1000)
                assert isinstance(response, Response)
            except PackhouseError as error:
                assert error.code == "upstream_failed"

    asyncio.run(attempt())
