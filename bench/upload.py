"""Upload → installable: from the first byte sent until a client has the shard that shows the file.

The channel holds 1,000 … 1,000,000 files already; each upload is a new version of a name picked at random. The client
does what conda clients do: it asks for the shard index and fetches the shard that is new. `with repodata.json.zst too`
ends when that document, which shows the file, has arrived whole. quetz writes repodata.json only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
from backports import zstd

from bench.kit.context import Context
from bench.kit.http import Connection
from bench.kit.installation import filled
from bench.kit.report import Line, median, percentile
from bench.peers.quetz import Quetz, upload_path
from tests.kit.condapkg import make_conda

_VERSIONS = count()
FOLDER = "/api/repo/big/noarch"
INDEX = f"{FOLDER}/repodata_shards.msgpack.zst"
GOALS = {100_000: ("≤ 10 ms", "≤ 500 ms"), 1_000_000: ("≤ 25 ms", "-")}


def run(context: Context) -> Iterator[Line]:
    """Yield three lines for each size."""
    for records in context.sizes:
        goal, goal_whole = GOALS.get(records, ("-", "-"))
        lines = [
            Line(f"upload → installable, {records:,} files, p50", "ms", goal),
            Line("the same, p99", "ms"),
            Line(f"with repodata.json.zst too, {records:,} files", "ms", goal_whole),
        ]
        for setup in context.setups_for(records):
            _ours(context, setup, records, lines)
        if context.peers and records <= 10_000:
            lines[2].peers["quetz"] = _quetz(context, records)
        yield from lines


def _ours(context: Context, setup: str, records: int, lines: list[Line]) -> None:
    with filled(context, setup, records).serving() as connection:
        names = _names(connection)
        times = [_installable(connection, name) for name in names[: context.pick(5, 200)]]
        whole = [_whole(connection, name) for name in names[-context.pick(1, 5) :]]
    for line, figure in zip(lines, (percentile(times, 0.5), percentile(times, 0.99), median(whole)), strict=True):
        line.ours[setup] = figure


def _names(connection: Connection) -> list[str]:
    """Return names of the channel, shuffled; the first requests of a server are done with this."""
    names = sorted(_decode(connection("GET", INDEX).body)["shards"])
    random.Random(0).shuffle(names)
    connection("PUT", f"{FOLDER}/warm-1-0.conda", make_conda("warm", "1"))
    return names * (1 + 200 // len(names))


def _installable(connection: Connection, name: str) -> float:
    """Upload a file and return the milliseconds until its shard has arrived; the client's own thinking is left out."""
    filename, data = _package(name)
    begun = time.perf_counter()
    answer = connection("PUT", f"{FOLDER}/{filename}", data)
    index = connection("GET", INDEX)
    taken = time.perf_counter() - begun
    digest = _decode(index.body)["shards"][name].hex()
    begun = time.perf_counter()
    shard = connection("GET", f"{FOLDER}/shards/{digest}.msgpack.zst")
    taken += time.perf_counter() - begun
    if answer.status != 201 or filename not in _decode(shard.body)["packages.conda"]:
        raise RuntimeError(f"{filename} was answered with {answer} and is not shown")
    return taken * 1000


def _whole(connection: Connection, name: str) -> float:
    filename, data = _package(name)
    begun = time.perf_counter()
    connection("PUT", f"{FOLDER}/{filename}", data)
    body = connection("GET", f"{FOLDER}/repodata.json.zst").body
    taken = time.perf_counter() - begun
    if filename.encode() not in zstd.decompress(body):
        raise RuntimeError(f"{filename} is not shown")
    return taken * 1000


def _quetz(context: Context, records: int) -> float:
    peer = Quetz(context)
    peer.seed(records)
    peer.serve()
    connection = peer.connect()
    times = []
    for _ in range(context.pick(1, 5)):
        filename, data = _package("python")
        begun = time.perf_counter()
        answer = connection("POST", upload_path(filename, data), data)
        if answer.status != 201:
            raise RuntimeError(f"quetz answered {answer}")
        while filename.encode() not in connection("GET", "/get/bench/noarch/repodata.json").body:
            pass
        times.append(time.perf_counter() - begun)
    peer.stop()
    return median(times) * 1000


def _package(name: str) -> tuple[str, bytes]:
    version = f"900.{next(_VERSIONS)}"
    return f"{name}-{version}-0.conda", make_conda(name, version)


def _decode(packed: bytes) -> Any:
    return msgspec.msgpack.decode(zstd.decompress(packed))
