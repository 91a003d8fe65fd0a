"""Webhooks against a real receiver: signed as documented, guarded as fetching is, and no secret in any message."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import FetchSettings
from packhouse.core.webhooks import Webhook, check, deliver, signature, webhook_settings

SECRET = "0123456789abcdef-of-the-hook"
PATH = "/services/T0/very-secret-path"
BODY = '{"event":"Grüße"}'.encode()


class Receiver:
    """Verifies and keeps what arrives; answers the given statuses, the last one for ever."""

    def __init__(self, statuses: Sequence[int] = (200,), *, wait: float = 0.0, headers: Any = None) -> None:
        self.got: list[dict[str, str]] = []
        self.elsewhere = 0
        self.port = 0
        self._statuses, self._wait, self._headers = list(statuses), wait, headers

    async def take(self, request: web.Request) -> web.Response:
        if request.path != PATH:
            self.elsewhere += 1
            return web.Response()
        body = await request.read()
        said = dict(pair.split("=", 1) for pair in request.headers["X-Packhouse-Signature"].split(","))
        wanted = hmac.new(SECRET.encode(), said["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(wanted, said["v1"]) and abs(int(said["t"]) - time.time()) < 60
        assert body == BODY and request.method == "POST"
        self.got.append(dict(request.headers))
        await asyncio.sleep(self._wait)
        status = self._statuses[min(len(self.got), len(self._statuses)) - 1]
        return web.Response(status=status, headers=self._headers)

    @property
    def hook(self) -> Webhook:
        """The webhook that leads here."""
        return Webhook(f"http://127.0.0.1:{self.port}{PATH}?key=very-secret-query", SECRET)

    def settings(self, **more: Any) -> FetchSettings:
        """Settings that allow exactly this receiver."""
        allowed = frozenset({f"127.0.0.1:{self.port}"})
        return FetchSettings(**{"allowed_private": allowed, "attempts": 3, "backoff": 0.01, "proxy": "", **more})


@asynccontextmanager
async def running(receiver: Receiver) -> AsyncIterator[Receiver]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def refused(hook: Webhook, settings: FetchSettings) -> PackhouseError:
    with pytest.raises(PackhouseError) as caught:
        await deliver(hook, "cve_updated", "d1", BODY, settings)
    assert caught.value.hint
    for text in (str(caught.value), repr(hook), str(caught.value.body())):
        assert "very-secret" not in text and SECRET not in text
    return caught.value


async def test_an_event_arrives_signed() -> None:
    async with running(Receiver((204,))) as receiver:
        await deliver(receiver.hook, "cve_updated", "d1", BODY, receiver.settings())
    (headers,) = receiver.got
    assert headers["Content-Type"] == "application/json"
    assert (headers["X-Packhouse-Event"], headers["X-Packhouse-Delivery"]) == ("cve_updated", "d1")


def test_the_signature_is_the_documented_one() -> None:
    assert (
        signature("key", b"{}", 1_700_000_000)
        == "t=1700000000,v1=" + hmac.new(b"key", b"1700000000.{}", "sha256").hexdigest()
    )
    assert signature("key", b"{}", 1) != signature("key", b"{}", 2) != signature("other", b"{}", 2)


async def test_troubles_are_repeated_with_the_same_name() -> None:
    async with running(Receiver((503, 429, 200))) as receiver:
        await deliver(receiver.hook, "cve_updated", "d1", BODY, receiver.settings())
    assert [headers["X-Packhouse-Delivery"] for headers in receiver.got] == ["d1"] * 3


@pytest.mark.parametrize(("status", "attempts"), [(503, 3), (501, 1)])
async def test_troubles_that_stay_are_for_later(status: int, attempts: int) -> None:
    async with running(Receiver((status,))) as receiver:
        error = await refused(receiver.hook, receiver.settings())
    assert error.code == "try_later" and error.retry_after and str(status) in error.message
    assert len(receiver.got) == attempts


async def test_a_receiver_that_asks_for_hours_gets_them() -> None:
    async with running(Receiver((503,), headers={"Retry-After": "7200"})) as receiver:
        error = await refused(receiver.hook, receiver.settings())
    assert error.retry_after is not None and 7200 <= error.retry_after < 7300 and len(receiver.got) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_a_refusal_is_for_good_and_not_repeated(status: int) -> None:
    async with running(Receiver((status,))) as receiver:
        error = await refused(receiver.hook, receiver.settings())
    assert error.code == "delivery_failed" and str(status) in error.message and len(receiver.got) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with running(Receiver((status,), headers={"Location": "/elsewhere"})) as receiver:
        error = await refused(receiver.hook, receiver.settings())
    assert error.code == "delivery_failed" and receiver.elsewhere == 0


async def test_private_addresses_are_refused_unless_exactly_named() -> None:
    async with running(Receiver()) as receiver:
        other = frozenset({f"127.0.0.1:{receiver.port + 1}", f"localhost:{receiver.port}"})
        error = await refused(receiver.hook, receiver.settings(allowed_private=other))
        assert error.code == "forbidden"
        named = Webhook(receiver.hook.url.replace("127.0.0.1", "localhost"), SECRET)
        assert (await refused(named, receiver.settings())).code == "forbidden", "a name is judged by its address"
    assert receiver.got == []


async def test_a_receiver_that_is_away() -> None:
    async with running(Receiver()) as receiver:
        pass
    error = await refused(receiver.hook, receiver.settings())
    assert error.code == "try_later" and "127.0.0.1" in error.message and "3 times" in error.message


async def test_a_receiver_that_hangs_is_left_and_a_slow_one_waited_for() -> None:
    async with running(Receiver(wait=60)) as receiver:
        error = await refused(receiver.hook, receiver.settings(answer_timeout=0.3, attempts=2))
        assert error.code == "try_later"
    async with running(Receiver(wait=0.3)) as slow:
        await deliver(slow.hook, "cve_updated", "d1", BODY, slow.settings(answer_timeout=30.0))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.org/very-secret", "forbidden"),
        ("very-secret", "forbidden"),
        ("http://[very-secret", "forbidden"),
        ("https://example.org:0/very-secret", "forbidden"),
        ("http://10.0.0.1/very-secret", "forbidden"),
        ("http://0x7f.1/very-secret", "forbidden"),
        *((f"https://example.org/very-secret{chr(mark)}", "forbidden") for mark in (*range(32), *range(127, 160))),
        ("https://exam\nple.org/very-secret", "forbidden"),
        ("https://example.org/very-secret" + "x" * 2048, "bad_request"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_when_it_is_written(url: str, code: str) -> None:
    with pytest.raises(PackhouseError) as caught:
        check(Webhook(url, SECRET), webhook_settings(frozenset()))
    assert caught.value.code == code and caught.value.hint and "very-secret" not in str(caught.value)


def test_a_usable_webhook_passes_and_a_short_secret_does_not() -> None:
    settings = webhook_settings(frozenset({"10.0.0.1:80"}))
    check(Webhook("https://hooks.example.org/x", SECRET), settings)
    check(Webhook("http://10.0.0.1/x", SECRET), settings)
    for secret in ("", "short", "x" * 20 + "\n"):
        with pytest.raises(PackhouseError, match="secret"):
            check(Webhook("https://hooks.example.org/x", secret), settings)


@pytest.mark.parametrize(("event", "delivery"), [("a\r\nX: y", "d"), ("a", "d\n"), ("", "d")])
async def test_no_event_becomes_a_header(event: str, delivery: str) -> None:
    with pytest.raises(ValueError, match="header"):
        await deliver(Webhook("https://hooks.example.org/x", SECRET), event, delivery, BODY, FetchSettings())
