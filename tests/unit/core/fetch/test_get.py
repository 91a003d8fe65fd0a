"""Indexes: conditional requests, credentials, redirects, limits and repetition, as a mirror meets them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher, FetchSettings
from tests.kit.upstream import (
    DATE,
    LATER,
    Always304,
    Basic,
    Drops,
    EmptyGzipMembers,
    Fails,
    GzipBomb,
    Gzipped,
    Header,
    Infinite,
    Misbehaviour,
    MislabelledGzip,
    NoFraming,
    Redirect,
    Slow,
    SlowHeaders,
    Upstream,
)

INDEX = "noarch/repodata.json"
BODY = b'{"packages": {}}' * 100
LIMIT = 1 << 20


def settings_for(*upstreams: Upstream, **more: Any) -> FetchSettings:
    """Settings that allow these upstreams and do not wait long."""
    return FetchSettings(allowed_private=frozenset(up.hostport for up in upstreams), backoff=0.01, **more)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream({INDEX: BODY, "a.gz": b"\x1f\x8bnot really"}) as upstream:
        yield upstream


async def test_an_unchanged_index_costs_a_304(up: Upstream) -> None:
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        first = await fetcher.get(INDEX, max_bytes=LIMIT)
        assert (first.status, first.body, first.size) == (200, BODY, len(BODY))
        by_etag = await fetcher.get(INDEX, max_bytes=LIMIT, etag=first.etag)
        by_date = await fetcher.get(INDEX, max_bytes=LIMIT, last_modified=first.last_modified)
        assert (by_etag.status, by_etag.body, by_date.status) == (304, b"", 304)
        up.files[INDEX] = b"new"
        assert (await fetcher.get(INDEX, max_bytes=LIMIT, etag=first.etag)).body == b"new"


@pytest.mark.parametrize(("now", "kept"), [(LATER, DATE), (DATE, None), ("yesterday", None)])
async def test_a_date_stands_for_one_version_only_when_the_answer_is_seconds_younger(
    up: Upstream, now: str, kept: str | None
) -> None:
    up.now = now
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        assert (await fetcher.get(INDEX, max_bytes=LIMIT)).last_modified == kept


async def test_a_missing_file_is_an_answer_not_a_fault(up: Upstream) -> None:
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        response = await fetcher.get("linux-64/repodata.json", max_bytes=LIMIT)
        assert (response.status, response.body) == (404, b"")
        with pytest.raises(PackhouseError, match="answered 404") as caught:
            response.require()
        assert caught.value.details == {"upstream_status": 404}
    assert up.hits("linux-64/repodata.json") == 1


async def test_head_tells_size_and_etag(up: Upstream) -> None:
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        response = await fetcher.head(INDEX)
    assert (response.status, response.size, response.body) == (200, len(BODY), b"")
    assert response.etag
    assert up.bytes_sent(INDEX) == 0


@pytest.mark.parametrize(
    ("require", "how"),
    [
        (Basic("ann", "pä:ss"), {"username": "ann", "password": "pä:ss"}),
        (Header("Authorization", "Bearer T"), {"bearer": "T"}),
        (Header("X-Auth", "T"), {"headers": {"X-Auth": "T"}}),
    ],
)
async def test_credentials_of_every_kind(require: Basic | Header, how: dict[str, Any]) -> None:
    async with Upstream({INDEX: BODY}, require=require) as up:
        async with Fetcher(up.url, settings_for(up)) as fetcher:
            assert (await fetcher.get(INDEX, max_bytes=LIMIT)).status == 401
        async with Fetcher(up.url, settings_for(up, **how)) as fetcher:
            assert (await fetcher.get(INDEX, max_bytes=LIMIT)).body == BODY


async def test_user_in_the_url_and_conda_token_in_the_path() -> None:
    async with Upstream({f"t/TOK/main/{INDEX}": BODY}, require=Basic("ann", "p@ss")) as up:
        source = up.url.replace("://", "://ann:p%40ss@") + "/t/TOK/main"
        async with Fetcher(source, settings_for(up)) as fetcher:
            response = await fetcher.get(INDEX, max_bytes=LIMIT)
    assert response.body == BODY
    assert response.url == f"{up.url}/t/***/main/{INDEX}"


async def test_redirects_are_followed_and_credentials_stay_home(up: Upstream) -> None:
    async with Upstream({INDEX: b"elsewhere"}) as other:
        up.misbehave("here", Redirect(f"/{INDEX}", 301))
        up.misbehave("away", Redirect(f"{other.url}/back"))
        other.misbehave("back", Redirect(f"{up.url}/{INDEX}"))
        settings = settings_for(up, other, bearer="T", headers={"X-Auth": "T"})
        async with Fetcher(up.url, settings) as fetcher:
            assert (await fetcher.get("here", max_bytes=LIMIT)).body == BODY
            assert up.requests[-1].headers["authorization"] == "Bearer T"
            response = await fetcher.get("away", max_bytes=LIMIT)
            assert (response.body, response.url) == (BODY, f"{up.url}/{INDEX}")
            assert (await fetcher.get(f"{other.url}/{INDEX}", max_bytes=LIMIT)).body == b"elsewhere"
        assert not any({"authorization", "x-auth"} & seen.headers.keys() for seen in other.requests)
        assert "authorization" not in up.requests[-1].headers, "a foreign host sent us back"


async def test_a_redirect_loop_ends(up: Upstream) -> None:
    up.misbehave(INDEX, Redirect(f"/{INDEX}"))
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        with pytest.raises(PackhouseError, match="redirects more than 5 times"):
            await fetcher.get(INDEX, max_bytes=LIMIT)
    assert up.hits(INDEX) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x.example/", "http://[::1", "gopher:x"])
async def test_a_redirect_to_no_http_address_is_refused(up: Upstream, target: str) -> None:
    up.misbehave(INDEX, Redirect(target))
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        with pytest.raises(PackhouseError, match="redirects to something") as caught:
            await fetcher.get(INDEX, max_bytes=LIMIT)
    assert caught.value.code == "upstream_failed"


async def test_gzip_in_transfer_is_undone_but_no_file_of_its_own(up: Upstream) -> None:
    up.misbehave(INDEX, Gzipped())
    up.misbehave("a.gz", MislabelledGzip())
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        assert (await fetcher.get(INDEX, max_bytes=LIMIT)).body == BODY
        assert (await fetcher.get("a.gz", max_bytes=LIMIT)).body == up.files["a.gz"]
    assert up.bytes_sent(INDEX) < len(BODY)


@pytest.mark.parametrize("how", [GzipBomb(50 << 20), Infinite()])
async def test_more_than_the_limit_is_refused(up: Upstream, how: Misbehaviour) -> None:
    up.misbehave(INDEX, how)
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        with pytest.raises(PackhouseError, match="larger than the limit"):
            await fetcher.get(INDEX, max_bytes=LIMIT)
    assert up.hits(INDEX) == 1


async def test_gzip_that_stands_for_nothing_is_not_read_for_ever(up: Upstream) -> None:
    up.misbehave(INDEX, EmptyGzipMembers())
    async with Fetcher(up.url, settings_for(up)) as fetcher, asyncio.timeout(60):
        with pytest.raises(PackhouseError, match="larger than the limit"):
            await fetcher.get(INDEX, max_bytes=LIMIT)
    assert up.hits(INDEX) == 1


async def test_gzip_that_stands_for_much_more_than_it_is_is_refused(up: Upstream) -> None:
    up.misbehave(INDEX, GzipBomb(100 << 20))
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        with pytest.raises(PackhouseError, match="more than 50 times its size"):
            await fetcher.get(INDEX, max_bytes=1 << 30)


@pytest.mark.parametrize(("how", "says"), [(Always304(), "answered 304"), (NoFraming(), "does not say how long")])
async def test_answers_that_prove_nothing_are_refused(up: Upstream, how: Misbehaviour, says: str) -> None:
    up.misbehave(INDEX, how)
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        with pytest.raises(PackhouseError, match=says):
            await fetcher.get(INDEX, max_bytes=LIMIT)


@pytest.mark.parametrize("how", [Fails(503, times=2), Fails(429, times=1, retry_after="0"), Drops(10, times=2)])
async def test_passing_faults_pass(up: Upstream, how: Misbehaviour) -> None:
    up.misbehave(INDEX, how)
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        assert (await fetcher.get(INDEX, max_bytes=LIMIT)).body == BODY


async def test_a_lasting_fault_is_reported_after_four_tries(up: Upstream) -> None:
    up.misbehave(INDEX, Fails(503))
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        with pytest.raises(PackhouseError, match=r"answered 503 \(tried 4 times\)\."):
            await fetcher.get(INDEX, max_bytes=LIMIT)
    assert up.hits(INDEX) == 4


async def test_retry_after_is_honoured_by_all_requests_to_the_host(up: Upstream) -> None:
    up.misbehave(INDEX, Fails(429, times=1, retry_after="1"))
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        start = time.monotonic()
        await fetcher.get(INDEX, max_bytes=LIMIT)
        assert time.monotonic() - start >= 1.0
        up.misbehave(INDEX, Fails(429, times=1, retry_after="86400"))
        with pytest.raises(PackhouseError) as caught:
            await fetcher.get(INDEX, max_bytes=LIMIT)
    assert caught.value.retry_after == 86401
    assert up.hits(INDEX) == 3


@pytest.mark.parametrize("how", [SlowHeaders(), Slow(0), Slow(20)])
async def test_a_dawdling_upstream_is_dropped(up: Upstream, how: Misbehaviour) -> None:
    up.misbehave(INDEX, how)
    settings = settings_for(up, answer_timeout=0.3, stall_timeout=0.3, rate_window=0.4)
    async with Fetcher(up.url, settings) as fetcher:
        with pytest.raises(PackhouseError, match=r"in time|bytes per second"):
            await fetcher.get(INDEX, max_bytes=LIMIT)


def test_one_byte_per_second_is_given_up_within_a_minute() -> None:
    """The arithmetic of the defaults: a stalled or slow attempt weighs two of four failures."""
    settings = FetchSettings()
    assert settings.attempts == 4
    assert 2 * max(settings.rate_window, settings.stall_timeout) + 2 * settings.backoff * 2 <= 60


async def test_nobody_listens(up: Upstream) -> None:
    async with Upstream() as gone:
        pass
    async with Fetcher(gone.url, settings_for(gone)) as fetcher:
        with pytest.raises(PackhouseError, match="cannot be reached: Connection refused"):
            await fetcher.get(INDEX, max_bytes=LIMIT)


async def test_no_message_carries_a_secret(up: Upstream) -> None:
    up.misbehave("t/LEAK/x", Redirect("http://ann:LEAK@127.0.0.1:1/t/LEAK/x?sig=LEAK"))
    up.misbehave("t/LEAK/drop", Drops(0, times=9))
    up.misbehave("t/LEAK/fail", Fails(500))
    source = up.url.replace("://", "://ann:LEAK@") + "/t/LEAK"
    up.files = {"t/LEAK/drop": b"x"}
    async with Fetcher(source, settings_for(up)) as fetcher:
        for path in ("x", "drop", "fail", "http://ann:LEAK@10.0.0.1/t/LEAK/"):
            with pytest.raises(PackhouseError) as caught:
                await fetcher.get(path, max_bytes=LIMIT)
            assert "LEAK" not in f"{caught.value} {caught.value.details}"
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
