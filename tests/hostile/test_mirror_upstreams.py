"""Upstreams that misbehave: nothing unverified is stored, the last good index stays, and the worker is free again."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest
from backports import zstd

from packhouse.catalog.mirrors.source import fetch_settings
from packhouse.core.fetch import Fetcher, FetchSettings
from packhouse.workflows.mirroring import obtaining, upstream
from tests.conftest import Backend
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on, shown
from tests.kit.upstream import (
    Always304,
    Fails,
    GzipBomb,
    Infinite,
    Misbehaviour,
    NoFraming,
    Redirect,
    SlowHeaders,
    Truncated,
    Upstream,
    WrongBytes,
)

HOW = [
    Truncated(20), WrongBytes(), Infinite(), GzipBomb(20_000_000), NoFraming(), Fails(500), Fails(429), SlowHeaders(),
    Redirect("/noarch/repodata.json"), Redirect("http://169.254.169.254/latest/meta-data"), Always304(),
]  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take only as much as a test can, and wait short for one that never answers: for others machines are too busy."""
    monkeypatch.setattr(upstream, "REPODATA_LIMIT", 1_000_000)
    silent = "how" in request.fixturenames and isinstance(request.getfixturevalue("how"), SlowHeaders)
    seconds = 5.0 if silent else 30.0

    def quick(*args: object) -> object:
        settings = fetch_settings(*args)  # type: ignore[arg-type]  # passed on
        return msgspec.structs.replace(
            settings, backoff=0.01, attempts=2, answer_timeout=seconds, stall_timeout=seconds
        )

    monkeypatch.setattr(obtaining, "fetch_settings", quick)


@pytest.mark.parametrize("how", HOW, ids=[repr(how)[:40] for how in HOW])
async def test_an_index_that_misbehaves(backend: Backend, how: Misbehaviour) -> None:
    source = CondaSource()
    source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        good = await shown(services, channel)
        source.add("click")
        up.files = source.files()
        up.misbehave("noarch/repodata.json", how)
        mirror = await run_and_wait(services, mirror)
        # a 304 to a question with a condition is an answer; every other one is none
        assert mirror.state == ("completed" if isinstance(how, Always304) else "failed"), mirror.progress
        assert await shown(services, channel) == good
        up.misbehave("noarch/repodata.json")
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, len(await shown(services, channel))) == ("completed", 2)


@pytest.mark.parametrize("how", HOW[:-1], ids=[repr(how)[:40] for how in HOW[:-1]])
async def test_a_file_that_misbehaves(backend: Backend, how: Misbehaviour) -> None:
    source = CondaSource()
    bad = source.add("bad")
    source.add("good")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        up.misbehave(bad, how)
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, mode="active"))
        count = mirror.progress.count
        # without framing the end of the connection is the end of the file, and its hash proves it
        expected = (2, 0, 0) if isinstance(how, NoFraming) else (1, 1, 1)
        assert (mirror.state, (count.active, count.passive, count.failed)) == ("completed", expected), mirror.progress


@pytest.mark.parametrize(
    "index",
    [
        zstd.compress(bytes(50_000_000)),
        zstd.compress(b"\xc1"),
        zstd.compress(msgspec.msgpack.encode({"version": 1, "info": {}, "shards": {"flask": b"short"}})),
        zstd.compress(msgspec.msgpack.encode({"version": 1, "info": {}, "shards": {"flask": bytes(32)}})),
        b"not zstd",
    ],
    ids=["bomb", "msgpack", "short-hash", "missing-shard", "zstd"],
)
async def test_shard_indexes_that_lie(backend: Backend, index: bytes) -> None:
    source = CondaSource()
    source.add("flask")
    async with services_on(backend) as services, Upstream(source.files(forms=["shards"])) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == "completed", mirror.progress.last_exception
        good = await shown(services, channel)
        assert good
        up.files["noarch/repodata_shards.msgpack.zst"] = index
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "failed"
        assert await shown(services, channel) == good


async def test_a_shard_with_other_bytes_than_its_name_says(backend: Backend) -> None:
    source = CondaSource()
    source.add("flask")
    files = source.files(forms=["shards"])
    shard = next(path for path in files if "/shards/" in path)
    files[shard] = zstd.compress(msgspec.msgpack.encode({"packages": {}, "packages.conda": {}, "removed": []}))
    async with services_on(backend) as services, Upstream(files) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == "failed"
        assert "not the one its index names" in mirror.progress.last_exception


async def test_many_names_cost_few_tasks_and_each_shard_one_request() -> None:
    shards = [zstd.compress(msgspec.msgpack.encode({"packages": {}, "x": number})) for number in range(100)]
    digests = [hashlib.sha256(shard) for shard in shards]
    names = {f"n{number}": digests[number % 100].digest() for number in range(500)}
    index = zstd.compress(msgspec.msgpack.encode({"version": 1, "info": {}, "shards": names}))
    files = {f"noarch/{digest.hexdigest()}.msgpack.zst": shard for digest, shard in zip(digests, shards, strict=True)}
    async with Upstream(files | {"noarch/repodata_shards.msgpack.zst": index}) as up:
        settings = FetchSettings(allowed_private=frozenset({up.hostport}))
        async with Fetcher(up.url, settings) as fetcher:
            reading = asyncio.create_task(upstream.Reader(fetcher, 1).read("noarch"))
            most = 0
            while not reading.done():
                most = max(most, sum("_shards" in str(task) for task in asyncio.all_tasks()))
                await asyncio.sleep(0)
        assert await reading is not None
        assert 0 < most <= 32 and up.hits() == 101


#: what one record of an upstream may hold that no client could read, or no database keep
UNREADABLE: list[dict[str, Any]] = [
    {"license": "a\0b"}, {"summary": ["\0"]}, {"url": "https://a\0b"}, {"timestamp": 9 * 10**18},
    {"track_features": {}}, {"features": 7}, {"license": "x" * 20_000}, {"legacy_bz2_md5": "zz"}, {"run_exports": "a"},
    {"depends": "python"},
]  # fmt: skip


async def test_a_record_that_clients_cannot_read_costs_only_itself(backend: Backend) -> None:
    source = CondaSource()
    source.add("flask")
    for number, one in enumerate(UNREADABLE):
        source.add(f"bad{number}", real=False, **one)
    source.add("null", real=False)
    source.records["noarch"]["null-1.0-0.conda"]["depends"] = None
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert (mirror.state, mirror.progress.count.failed) == ("completed", len(UNREADABLE) + 1), mirror.progress
        assert set(await shown(services, channel)) == {"flask-1.0-0.conda"}


async def test_no_address_elsewhere_reaches_clients(backend: Backend) -> None:
    elsewhere = "http://elsewhere.example/x"
    source = CondaSource()
    source.info = {"base_url": "."}
    source.add("flask", base_url=elsewhere, channel=elsewhere, shards_base_url=elsewhere)
    source.add("signed", channel=elsewhere)
    source.signatures["signed-1.0-0.conda"] = {"key": {"signature": "00"}}
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert (mirror.state, mirror.progress.count.failed) == ("completed", 1), mirror.progress
        index = await shown(services, channel)
        assert set(index) == {"flask-1.0-0.conda"} and "elsewhere" not in str(index)
