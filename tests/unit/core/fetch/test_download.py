"""Packages: every byte proved, none fetched twice, and the memory flat."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.core.blobs import LocalStore
from packhouse.core.blobs.hashing import Hasher, Hashes
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Expected, Fetcher, FetchSettings
from tests.kit.misbehaviour import Answer, Connection
from tests.kit.sinks import MemorySink
from tests.kit.upstream import (
    Drops,
    Gzipped,
    Infinite,
    Misbehaviour,
    MislabelledGzip,
    NoFraming,
    NoRanges,
    Redirect,
    Request,
    Slow,
    Truncated,
    Upstream,
    Versions,
    WrongBytes,
)

FILE = "noarch/a-1.0-0.conda"
CONTENT = hashlib.shake_256(b"package").digest(300_000)
EXPECTED = Expected(size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), md5=hashlib.md5(CONTENT).hexdigest())
LIMIT = 1 << 20


def settings_for(*upstreams: Upstream, **more: Any) -> FetchSettings:
    """Settings that allow these upstreams and do not wait long."""
    return FetchSettings(allowed_private=frozenset(up.hostport for up in upstreams), backoff=0.01, **more)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream({FILE: CONTENT}) as upstream:
        yield upstream


@pytest.fixture
async def fetcher(up: Upstream) -> AsyncIterator[Fetcher]:
    async with Fetcher(up.url, settings_for(up)) as fetcher:
        yield fetcher


async def test_a_file_arrives_and_is_proved(up: Upstream, fetcher: Fetcher) -> None:
    sink = MemorySink()
    hashes = await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.body == CONTENT
    assert hashes == Hashes(len(CONTENT), EXPECTED.sha256 or "", EXPECTED.md5 or "")


@pytest.mark.parametrize("after", [0, 1, 100_000, 299_999])
async def test_a_dropped_connection_costs_no_byte_twice(up: Upstream, fetcher: Fetcher, after: int) -> None:
    up.misbehave(FILE, Drops(after, times=2))
    sink = MemorySink()
    await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.body == CONTENT
    assert up.bytes_sent(FILE) == len(CONTENT)


class SlowSink(MemorySink):
    """A busy disk: the connection is long closed when the first write returns."""

    async def write(self, chunk: bytes, /) -> None:
        await asyncio.sleep(0.05)
        await super().write(chunk)


async def test_what_arrived_before_the_drop_is_kept_however_slow_the_disk(up: Upstream, fetcher: Fetcher) -> None:
    up.misbehave(FILE, Drops(250_000))
    await fetcher.download(FILE, SlowSink(), expect=EXPECTED, max_bytes=LIMIT)
    assert [seen.headers.get("range") for seen in up.requests] == [None, "bytes=250000-"]


async def test_progress_is_not_a_failure() -> None:
    """A connection that drops every 1.2 MB still brings 12 MB: more drops than attempts."""
    content = bytes(12_000_000)
    async with Upstream({FILE: content}) as up, Fetcher(up.url, settings_for(up)) as fetcher:
        up.misbehave(FILE, Drops(1_200_000, times=99))
        sink = MemorySink()
        await fetcher.download(
            FILE, sink, expect=Expected(sha256=hashlib.sha256(content).hexdigest()), max_bytes=1 << 24
        )
        assert up.hits(FILE) == 10
        assert up.bytes_sent(FILE) == len(content)


async def test_the_next_process_goes_on_where_one_stopped(up: Upstream, fetcher: Fetcher, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    async with store.partial("a") as writer:
        up.misbehave(FILE, Drops(100_000, times=99))
        with pytest.raises(PackhouseError):
            async with Fetcher(up.url, settings_for(up, attempts=1)) as dying:
                await dying.download(FILE, writer, expect=EXPECTED, max_bytes=LIMIT)
    up.misbehave(FILE)
    async with store.partial("a") as writer:
        await fetcher.download(FILE, writer, expect=EXPECTED, max_bytes=LIMIT)
        hashes = await writer.commit()
    assert hashes.sha256 == EXPECTED.sha256
    assert up.bytes_sent(FILE) == len(CONTENT)


async def test_nothing_is_asked_when_all_bytes_are_there(up: Upstream, fetcher: Fetcher) -> None:
    sink = MemorySink()
    await sink.write(CONTENT)
    await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert up.hits() == 0


@pytest.mark.parametrize("rest", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)])
async def test_a_wrong_rest_of_an_earlier_run_heals(up: Upstream, fetcher: Fetcher, rest: bytes) -> None:
    sink = MemorySink()
    await sink.write(rest)
    await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.body == CONTENT


@pytest.mark.parametrize("times", [1, 2])
async def test_a_server_without_ranges_starts_again(up: Upstream, fetcher: Fetcher, times: int) -> None:
    up.misbehave(FILE, NoRanges(), Drops(1000, times=times))
    sink = MemorySink()
    await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.body == CONTENT
    assert up.bytes_sent(FILE) == len(CONTENT) + times * 1000


@pytest.mark.parametrize("expect", [EXPECTED, Expected()])
async def test_a_file_that_changes_meanwhile_is_not_mixed(up: Upstream, fetcher: Fetcher, expect: Expected) -> None:
    old = CONTENT[::-1]
    up.misbehave(FILE, Versions([old, CONTENT]), Drops(1000))
    sink = MemorySink()
    await fetcher.download(FILE, sink, expect=expect, max_bytes=LIMIT)
    assert sink.body == CONTENT


class NoEtag(Misbehaviour):
    """Tells nothing by which two contents could be told apart."""

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(good.status, good.body, {name: good.headers[name] for name in good.headers.keys() - {"ETag"}})


class IgnoresIfRange(Misbehaviour):
    """Sends the rest of the new content for a range of the old one."""

    def answer(self, request: Request, good: Answer) -> Answer:
        if "range" not in request.headers or good.status == 206:
            return good
        start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
        content_range = f"bytes {start}-{len(good.body) - 1}/{len(good.body)}"
        return Answer(206, good.body[start:], good.headers | {"Content-Range": content_range})


@pytest.mark.parametrize("how", [NoEtag(), IgnoresIfRange()])
async def test_pieces_nothing_can_prove_are_not_joined(up: Upstream, fetcher: Fetcher, how: Misbehaviour) -> None:
    up.misbehave(FILE, Versions([CONTENT[::-1], CONTENT]), how, Drops(1000))
    sink = MemorySink()
    await fetcher.download(FILE, sink, expect=Expected(), max_bytes=LIMIT)
    assert sink.body == CONTENT


async def test_a_resumed_download_says_of_which_file(up: Upstream, fetcher: Fetcher) -> None:
    up.misbehave(FILE, Drops(1000))
    await fetcher.download(FILE, MemorySink(), expect=EXPECTED, max_bytes=LIMIT)
    assert up.requests[1].headers["if-range"] == (await fetcher.head(FILE)).etag


class LyingRange(Misbehaviour):
    """Answers every range from its start minus one."""

    def answer(self, request: Request, good: Answer) -> Answer:
        if good.status != 206:
            return good
        start, _, rest = good.headers["Content-Range"].removeprefix("bytes ").partition("-")
        shifted = f"bytes {int(start) - 1}-{rest}"
        return Answer(206, b"?" + good.body, good.headers | {"Content-Range": shifted})


class DropsFirst(Misbehaviour):
    """Drops whole-file answers after 1,000 bytes twice."""

    left = 2

    async def send(self, connection: Connection, body: bytes) -> None:
        if self.left and len(body) == len(CONTENT):
            self.left -= 1
            await connection.send(body[:1000])
            return connection.drop()
        return await connection.send(body)


async def test_a_lying_range_is_not_joined(up: Upstream, fetcher: Fetcher) -> None:
    up.misbehave(FILE, LyingRange(), DropsFirst())
    with pytest.raises(PackhouseError, match="cannot go on from byte 1000"):
        async with Fetcher(up.url, settings_for(up, attempts=2)) as strict:
            await strict.download(FILE, MemorySink(), expect=EXPECTED, max_bytes=LIMIT)
    up.misbehave(FILE, LyingRange(), DropsFirst())
    sink = MemorySink()
    with pytest.raises(PackhouseError):
        await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    up.misbehave(FILE)
    await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.body == CONTENT


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (WrongBytes(), "SHA-256"),
        (Truncated(1000), "size"),
        (Versions([CONTENT + b"x"]), "300001 bytes"),
        (Infinite(), "longer"),
        (Redirect("/other"), "size"),
    ],
)
async def test_other_bytes_are_refused(up: Upstream, fetcher: Fetcher, how: Misbehaviour, says: str) -> None:
    up.files["other"] = b"<html>log in here</html>"
    up.misbehave(FILE, how)
    sink = MemorySink()
    with pytest.raises(PackhouseError, match="is not the file its record describes") as caught:
        await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert says in str(caught.value)
    assert caught.value.details == {"mismatch": True}
    assert sink.size == 0
    assert up.hits(FILE) == 1, "asking again would bring the same"


@pytest.mark.parametrize("expect", [Expected(md5="0" * 32), Expected(sha256="0" * 64), Expected(size=1)])
async def test_each_claim_counts(fetcher: Fetcher, expect: Expected) -> None:
    with pytest.raises(PackhouseError, match="is not the file"):
        await fetcher.download(FILE, MemorySink(), expect=expect, max_bytes=LIMIT)


async def test_digests_in_capitals_are_the_same_digests(fetcher: Fetcher) -> None:
    capitals = Expected(sha256=(EXPECTED.sha256 or "").upper(), md5=(EXPECTED.md5 or "").upper())
    await fetcher.download(FILE, MemorySink(), expect=capitals, max_bytes=LIMIT)


@pytest.mark.parametrize("how", [Infinite(), Misbehaviour()])
@pytest.mark.parametrize("expect", [Expected(), Expected(size=10**9)])
async def test_the_cap_holds_whatever_is_expected(
    up: Upstream, fetcher: Fetcher, how: Misbehaviour, expect: Expected
) -> None:
    up.misbehave(FILE, how)
    with pytest.raises(PackhouseError, match="larger than the limit of 1000 bytes"):
        await fetcher.download(FILE, MemorySink(), expect=expect, max_bytes=1000)


async def test_without_a_hash_the_file_must_at_least_be_whole(up: Upstream, fetcher: Fetcher) -> None:
    up.misbehave(FILE, NoFraming())
    with pytest.raises(PackhouseError, match="does not say how long"):
        await fetcher.download(FILE, MemorySink(), expect=Expected(), max_bytes=LIMIT)
    await fetcher.download(FILE, MemorySink(), expect=Expected(size=len(CONTENT)), max_bytes=LIMIT)
    up.misbehave(FILE, Drops(1000, times=3))
    sink = MemorySink()
    await fetcher.download(FILE, sink, expect=Expected(), max_bytes=LIMIT)
    assert sink.body == CONTENT


@pytest.mark.parametrize("how", [MislabelledGzip(), Gzipped()])
async def test_content_encoding_leaves_a_package_alone(up: Upstream, fetcher: Fetcher, how: Misbehaviour) -> None:
    up.misbehave(FILE, how)
    sink = MemorySink()
    await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.body == CONTENT


async def test_a_gone_file_is_told_apart(up: Upstream, fetcher: Fetcher) -> None:
    with pytest.raises(PackhouseError, match="answered 404") as caught:
        await fetcher.download("noarch/gone.conda", MemorySink(), expect=EXPECTED, max_bytes=LIMIT)
    assert caught.value.details == {"upstream_status": 404}


async def test_a_stalling_upstream_is_dropped_and_its_bytes_stay(up: Upstream) -> None:
    up.misbehave(FILE, Drops(1000), Slow(0))
    sink = MemorySink()
    await sink.write(CONTENT[:5000])
    async with Fetcher(up.url, settings_for(up, stall_timeout=0.5)) as fetcher:
        with pytest.raises(PackhouseError, match="did not answer in time"):
            await fetcher.download(FILE, sink, expect=EXPECTED, max_bytes=LIMIT)
    assert sink.size == 5000


def resident_bytes() -> int:
    """Return the memory this process holds now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class CountingSink:
    """Hashes and forgets, like a disk; notes the most memory the process had meanwhile."""

    def __init__(self) -> None:
        self._hasher = Hasher()
        self.peak = 0

    @property
    def size(self) -> int:
        return self._hasher.size

    async def write(self, chunk: bytes, /) -> None:
        self._hasher.update(chunk)
        self.peak = max(self.peak, resident_bytes())

    async def restart(self) -> None:
        self._hasher = Hasher()

    def hashes(self) -> Hashes:
        return self._hasher.hashes()


class Megabytes(Misbehaviour):
    """Sends `count` MiB of zeros without holding them."""

    def __init__(self, count: int) -> None:
        self.count = count

    def answer(self, request: Request, good: Answer) -> Answer:
        return Answer(200, b"", {"Content-Length": str(self.count << 20)})

    async def send(self, connection: Connection, body: bytes) -> None:
        block = bytes(1 << 20)
        for _ in range(self.count):
            await connection.send(block)


async def test_memory_stays_flat_on_200_mb(up: Upstream, fetcher: Fetcher) -> None:
    up.misbehave(FILE, Megabytes(200))
    sink, before = CountingSink(), resident_bytes()
    hashes = await fetcher.download(FILE, sink, expect=Expected(size=200 << 20), max_bytes=1 << 30)
    assert hashes.size == 200 << 20
    assert sink.peak - before < 32 << 20


async def test_a_cancelled_download_leaves_no_connection_behind(up: Upstream, fetcher: Fetcher) -> None:
    up.misbehave(FILE, Slow(50_000))
    task = asyncio.create_task(fetcher.download(FILE, MemorySink(), expect=EXPECTED, max_bytes=LIMIT))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    up.misbehave(FILE)
    await fetcher.download(FILE, MemorySink(), expect=EXPECTED, max_bytes=LIMIT)


async def test_no_more_connections_than_set() -> None:
    files = {f"f{number}": b"x" * 100 for number in range(40)}
    async with Upstream(files) as up, Fetcher(up.url, settings_for(up, connections=4)) as fetcher:
        for name in files:
            up.misbehave(name, Slow(2000))
        downloads = (fetcher.download(name, MemorySink(), expect=Expected(size=100), max_bytes=LIMIT) for name in files)
        await asyncio.gather(*downloads)
        assert up.connections <= 4
