"""A folder of small .conda files becomes a channel, and then one more file comes.

py-rattler writes repodata.json, .zst and shards into the folder itself. Packhouse takes the files in: it keeps, hashes
and checks each of them. `mirrored` is an active mirror of the folder by its `file://` address, which needs the index
that py-rattler wrote; `uploaded` sends each file over HTTP, 16 at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from rattler.index import index_fs

from bench.kit.context import Context
from bench.kit.http import Connection, request, send_all
from bench.kit.installation import install
from bench.kit.mirroring import add_mirror, finished
from bench.kit.report import Line, median
from bench.make_channel import make_channel
from tests.kit.condapkg import make_conda


def run(context: Context) -> Iterator[Line]:
    """Yield two lines: everything, and one more."""
    count = context.pick(100, 10_000)
    folder = context.folder / "packages"
    context.say(f"making {count:,} packages")
    make_channel(folder, count, files=True)
    for index in folder.glob("*/repodata*"):
        index.unlink()
    whole = Line(f"index {count:,} .conda of a folder, uploaded", "s")
    mirrored = Line("the same folder, mirrored", "s", "≤ 1.5 s")
    more = Line("one more file", "s", "≤ 0.1 s")
    whole.peers["py-rattler"], more.peers["py-rattler"] = _rattler(context, folder)
    mirrored.peers = dict(whole.peers)
    for setup in context.setups:
        whole.ours[setup], more.ours[setup] = _uploaded(context, setup, folder)
        mirrored.ours[setup] = _mirrored(context, setup, folder)
    yield from (whole, mirrored, more)


def _rattler(context: Context, folder: Path) -> tuple[float, float]:
    def index() -> float:
        begun = time.perf_counter()
        asyncio.run(index_fs(folder, write_zst=True, write_shards=True))
        return time.perf_counter() - begun

    whole = index()
    times = []
    for number in range(context.rounds):
        (folder / "noarch" / f"more-{number}-0.conda").write_bytes(make_conda("more", str(number)))
        times.append(index())
    return whole, median(times)


def _uploaded(context: Context, setup: str, folder: Path) -> tuple[float, float]:
    installation = install(context, setup)
    installation.channel("big")
    with installation.serving():
        paths = sorted(folder.glob("*/*.conda"))
        begun = time.perf_counter()
        for start in range(0, len(paths), 1000):
            many = [
                request("PUT", f"/api/repo/big/{one.parent.name}/{one.name}", installation.headers, one.read_bytes())
                for one in paths[start : start + 1000]
            ]
            asyncio.run(send_all(installation.port, many, 16))
        whole = time.perf_counter() - begun
        connection = installation.connect()  # a fresh one: servers close what is idle for long
        return whole, median(_one_more(connection, number) for number in range(context.pick(1, 20)))


def _one_more(connection: Connection, number: int) -> float:
    data = make_conda("one-more", str(number))
    begun = time.perf_counter()
    answer = connection("PUT", f"/api/repo/big/noarch/one-more-{number}-0.conda", data)
    taken = time.perf_counter() - begun
    if answer.status != 201:
        raise RuntimeError(f"answered {answer}")
    return taken


def _mirrored(context: Context, setup: str, folder: Path) -> float:
    installation = install(context, setup)
    installation.channel("big")
    with installation.serving() as connection:
        begun = time.perf_counter()
        mirror = add_mirror(connection, "big", folder.as_uri(), mode="active")
        finished(connection, "big", mirror)
        return time.perf_counter() - begun
