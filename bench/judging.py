"""Judgement in a channel of a million files: ten thousand advisories matched, policies tried, published and explained.

What the worker does is measured in this process, without a server beside it; what clients see, and what it costs them,
through a server. The channel is that of `listing`, with advisories that fit its names and versions.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Thread

import msgspec
from backports import zstd

from bench.kit.advisories import WORST, osv, tie_names, write_advisories
from bench.kit.context import SQLITE, Context
from bench.kit.http import Connection
from bench.kit.installation import Installation, filled
from bench.kit.judging import Took, deal, enforce
from bench.kit.load import wrk
from bench.kit.report import Line, median
from bench.make_channel import Name, plan
from packhouse.catalog.channels import store as channels
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.security.policies.policy import Rules
from packhouse.workflows.answering.simulating import simulate_policy
from packhouse.workflows.judging.rejudging import judge_waiting
from packhouse.workflows.services import Services
from tests.kit.condapkg import make_conda
from tests.kit.feeding import add_feed, take

#: channels under one policy that together have as many files as the large one
CHANNELS = 50
FEED, FOLDER = "bench", "/api/repo/big/noarch"


def run(context: Context) -> Iterator[Line]:
    """Yield the lines of the largest channel, on SQLite."""
    records, number = context.largest, context.pick(50, 10_000)
    installation = filled(context, SQLITE, records)
    feed = context.folder / "advisories.jsonl"
    write_advisories(feed, records, number)
    yield from _matching(installation, records, feed, number)
    yield from _policies(context, installation, records)
    yield from _many(installation, records, context.pick(3, CHANNELS))
    yield from _served(context, installation, feed)


def _matching(installation: Installation, records: int, feed: Path, number: int) -> Iterator[Line]:
    """Time a whole first match, and that of one name."""

    async def work(services: Services) -> tuple[float, float, float, float]:
        await tie_names(services, records)
        begun = time.perf_counter()
        await add_feed(services, feed.resolve().as_uri(), FEED)
        await take(services, FEED, seconds=600)
        taken = time.perf_counter() - begun
        matched = await _timed(services)
        names = [name.name for name in plan(records, 0) if name.kind != "library"]
        middle = len(names) // 20
        return (
            taken,
            matched,
            await _one_name(services, names[middle : middle + 20]),
            await _one_name(services, names[1:2]),
        )

    taken, matched, one, largest = installation.run(work)
    about = f"{number:,} advisories, {records:,} files"
    yield _line(f"{about}: taken in", taken, "s")
    yield _line(f"{about}: matched, and written", matched, "s", "≤ 2 s")
    yield _line("one name judged again", one * 1000, "ms", "≤ 50 ms")
    yield _line("the name with most files judged again", largest * 1000, "ms")


async def _timed(services: Services) -> float:
    begun = time.perf_counter()
    await judge_waiting(services)
    return time.perf_counter() - begun


async def _one_name(services: Services, names: Sequence[str]) -> float:
    times = []
    for name in names:
        await services.db.write(partial(unjudged.add, names=[("conda", name)]))
        times.append(await _timed(services))
    return median(times)


def _policies(context: Context, installation: Installation, records: int) -> Iterator[Line]:
    """Time previews, and policies until gate and index obey."""
    scores = [5.0, 8.0, 7.0] if context.rounds > 1 else [7.0]

    async def work(services: Services) -> tuple[list[float], list[float], list[Took], Took]:
        channel = await channels.by_path(services.db, "big")
        assert channel is not None

        async def tried(score: float, *, dependencies: bool) -> float:
            begun = time.perf_counter()
            await simulate_policy(services.db, channel, Rules(cve_score=score), dependencies=dependencies)
            return time.perf_counter() - begun

        alone = [await tried(score, dependencies=False) for score in (6.0, 5.0)]
        whole = [await tried(score, dependencies=True) for score in (6.0, 5.0)]
        took = [await enforce(services, [channel.id], cve_score=score) for score in scores]
        mixed = await enforce(services, [channel.id], cve_score=7.0, license_not=["agpl"], minimum_age_days=3)
        await enforce(services, [channel.id], cve_score=7.0)
        return alone, whole, took, mixed

    alone, whole, took, mixed = installation.run(work)
    files = f"{records:,} files"
    yield _line(f"policy tried first, {files}", alone[0], "s")
    yield _line(f"policy tried after it, {files}", alone[1], "s", "≤ 0.3 s")
    yield _line(f"policy tried, with what it breaks: dependencies read, {files}", whole[0], "s")
    yield _line(f"policy tried after it, with what it breaks, {files}", whole[1], "s")
    yield _line(f"policy on scores: the gate obeys, {files}", median(one.gate for one in took), "s")
    yield _line(f"policy on scores: published with shards, {files}", median(one.indexes for one in took), "s", "≤ 5 s")
    yield _line(f"policy on scores, licences and age: published, {files}", mixed.indexes, "s")


def _many(installation: Installation, records: int, number: int) -> Iterator[Line]:
    """Time one policy on many channels that together have as many files."""
    names = sorted(name.name for name in plan(records, 0))
    targets = [installation.channel(f"dealt{one}") for one in range(number)]

    async def work(services: Services) -> Took:
        source = await channels.by_path(services.db, "big")
        assert source is not None
        for one, target in enumerate(targets):
            await deal(services, source.id, target.id, names[one::number])
        return await enforce(services, [target.id for target in targets], cve_score=6.5)

    took = installation.run(work)
    about = f"one policy on {number} channels, {records:,} files in all"
    yield _line(f"{about}: at the gate", took.gate, "s", "≤ 2 s")
    yield _line(f"{about}: all indexes", took.indexes, "s", "≤ 60 s")


def _served(context: Context, installation: Installation, feed: Path) -> Iterator[Line]:
    """Time what clients see."""
    with installation.serving() as connection:
        yield _line("advisory arrives → hidden at the gate and in the index", _hides(connection, feed), "s", "≤ 10 s")
        yield _line("one file explained", _explained(context, connection) * 1000, "ms", "≤ 20 ms")
        yield _line("downloads while a policy is prepared", _share(context, installation, connection), "%", "≥ 80 %")


def _hides(connection: Connection, feed: Path) -> float:
    """Return the seconds from the moment a feed is asked until a client sees nothing of what it speaks of."""
    data = make_conda("newly-found", "0.0.0", depends=["python >=3.8"])
    _call(connection, "PUT", f"{FOLDER}/newly-found-0.0.0-0.conda", data)
    record = osv(99_999, Name(0, "newly-found", "pure", 1), random.Random(0), WORST)
    with feed.open("ab") as file:
        file.write(msgspec.json.encode(record) + b"\n")
    begun = time.perf_counter()
    _call(connection, "POST", f"/api/feeds/{FEED}/run", b"{}")
    _until(lambda: connection("GET", f"{FOLDER}/newly-found-0.0.0-0.conda").status == 403)
    _until(lambda: "newly-found" not in _shards(connection))
    return time.perf_counter() - begun


def _shards(connection: Connection) -> dict[str, bytes]:
    answer = _call(connection, "GET", f"{FOLDER}/repodata_shards.msgpack.zst")
    found: dict[str, bytes] = msgspec.msgpack.decode(zstd.decompress(answer))["shards"]
    return found


def _explained(context: Context, connection: Connection) -> float:
    times = []
    for _ in range(context.pick(3, 50)):
        begun = time.perf_counter()
        _call(connection, "GET", "/api/channels/big/explain?file=noarch/newly-found-0.0.0-0.conda")
        times.append(time.perf_counter() - begun)
    return median(times)


def _share(context: Context, installation: Installation, connection: Connection) -> float:
    """Return how many downloads of 20 kB there are while a policy is prepared, in percent of those at rest."""
    data = make_conda("small", "1", files={"share/data": random.Random(0).randbytes(19_000)})
    _call(connection, "PUT", f"{FOLDER}/small-1-0.conda", data)
    load = partial(wrk, installation.port, [f"{FOLDER}/small-1-0.conda"], installation.headers)
    seconds = context.pick(1, 5)
    load(1, context.folder)
    shares = []
    for number in range(context.rounds):
        rest = load(seconds, context.folder).per_second
        change = Thread(target=_assign, args=(installation.connect(), number))
        change.start()
        shares.append(100 * load(seconds, context.folder).per_second / rest)
        change.join()
    return median(shares)


def _assign(connection: Connection, number: int) -> None:
    """Give the channel another policy, and wait until it is in effect."""
    body = {"name": f"score-{number}", "cve_score": 3.0 + number}
    made = json.loads(_call(connection, "POST", "/api/policies", json.dumps(body).encode()))
    _call(connection, "PUT", "/api/channels/big", json.dumps({"policy_id": made["id"]}).encode())
    _until(lambda: json.loads(_call(connection, "GET", "/api/channels/big/policy"))["state"] == "in_effect")
    connection.close()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("it does not end")
        time.sleep(0.02)


def _call(connection: Connection, method: str, path: str, body: bytes = b"") -> bytes:
    headers = {} if FOLDER in path or method == "GET" else {"content_type": "application/json"}
    answer = connection(method, path, body, **headers)
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} was answered with {answer.status}: {answer.body[:500]!r}")
    return answer.body


def _line(work: str, value: float, unit: str, goal: str = "-") -> Line:
    return Line(work, unit, goal, {SQLITE: value})
