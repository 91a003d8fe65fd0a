"""Another channel is taken over: a million records without their files, then again, then every file of a small one.

The upstream is nginx over a folder. "Nothing changed" comes with another ETag, so that the index is sent again; with
one record changed all of it is read and compared; "304" is what a quiet upstream costs. Times are from the request of
the administrator until the mirror says completed, with whatever the worker waits in between. The uploads go to another
channel while the first run goes on, ten a second.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backports import zstd

from bench.kit.context import Context
from bench.kit.http import Connection
from bench.kit.installation import Installation, install
from bench.kit.mirroring import add_mirror, finished, run_again
from bench.kit.report import Line, median, percentile
from bench.kit.watching import Watch
from bench.make_channel import make_channel
from bench.peers.nginx import serve_folder
from tests.kit.condapkg import make_conda


def run(context: Context) -> Iterator[Line]:
    """Yield the lines of each size, and those of files fetched."""
    for records in context.large_sizes:
        yield from _index(context, records)
    yield _files(context, context.pick(50, 4000))


def _index(context: Context, records: int) -> Iterator[Line]:
    upstream = context.folder / f"upstream-{records}"
    context.say(f"making an upstream of {records:,} records")
    make_channel(upstream, records)
    port = serve_folder(context, upstream)
    million = records == 1_000_000
    lines = {
        "first": Line(f"first mirror of {records:,} records, metadata", "s", "≤ 15 s" if million else "-"),
        "memory": Line("server and worker meanwhile, resident at most", "MB", "≤ 1,024 MB" if million else "-"),
        "uploads": Line("uploads beside it, p99", "ms", "≤ 50 ms"),
        "same": Line("nothing changed, the index sent again", "s", "≤ 4 s" if million else "-"),
        "one": Line("one record changed, all of it compared", "s", "≤ 4 s" if million else "-"),
        "quiet": Line("upstream answers 304", "s", "≤ 0.05 s"),
    }
    for setup in context.setups_for(records):
        for key, figure in _metadata(context, setup, upstream, port).items():
            lines[key].ours[setup] = figure
    yield from lines.values()


def _files(context: Context, count: int) -> Line:
    upstream = context.folder / "small-upstream"
    _make_files(upstream / "noarch", count)
    port = serve_folder(context, upstream)
    line = Line(f"active mirror: {count:,} files of 20 kB fetched, verified, stored", "/s", "≥ 2,000/s")
    for setup in context.setups:
        line.ours[setup] = _pull(context, setup, port, count)
    return line


def _metadata(context: Context, setup: str, upstream: Path, port: int) -> dict[str, float]:
    installation = install(context, setup)
    installation.channel("big")
    installation.channel("beside")
    with installation.serving() as connection:
        time.sleep(2)  # the worker comes up
        with Watch(installation.resident_mb) as watch, _Uploads(installation) as uploads:
            begun = time.perf_counter()
            mirror = add_mirror(connection, "big", f"http://127.0.0.1:{port}")
            finished(connection, "big", mirror)
            first = time.perf_counter() - begun
        quiet = median(run_again(connection, "big", mirror) for _ in range(context.rounds))
        same = []
        for _ in range(context.pick(1, 2)):
            time.sleep(1.1)  # nginx makes its ETag of whole seconds
            for index in upstream.glob("*/repodata*"):
                index.touch()
            same.append(run_again(connection, "big", mirror))
        one = []
        for number in range(context.pick(1, 2)):
            time.sleep(1.1)
            _change_one(upstream, number)
            one.append(run_again(connection, "big", mirror))
    return {
        "first": first,
        "memory": watch.most,
        "uploads": percentile(uploads.times, 0.99) * 1000,
        "same": median(same),
        "one": median(one),
        "quiet": quiet,
    }


def _change_one(upstream: Path, number: int) -> None:
    """Give one record of each index another size; the indexes stay as large as they are."""
    for index in upstream.glob("*/repodata.json"):
        before = index.read_bytes()
        changed = re.sub(rb'("size":)[0-9]', rb"\g<1>%d" % (number + 1), before, count=1)
        index.write_bytes(changed)
        index.with_name("repodata.json.zst").write_bytes(zstd.compress(changed))


class _Uploads:
    """Uploads small files all the time, within the block."""

    def __init__(self, installation: Installation) -> None:
        self._connection = Connection(installation.port, installation.headers)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self.times: list[float] = []

    def _go_on(self) -> None:
        number = 0
        while True:
            number += 1
            data = make_conda("beside", str(number))
            begun = time.perf_counter()
            answer = self._connection("PUT", f"/api/repo/beside/noarch/beside-{number}-0.conda", data)
            self.times.append(time.perf_counter() - begun)
            if answer.status != 201:
                self.times.append(float("inf"))
            if self._end.wait(0.1):
                return

    def __enter__(self) -> _Uploads:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._connection.close()


def _pull(context: Context, setup: str, port: int, files: int) -> float:
    installation = install(context, setup)
    installation.channel("small")
    with installation.serving() as connection:
        time.sleep(2)
        begun = time.perf_counter()
        mirror = add_mirror(connection, "small", f"http://127.0.0.1:{port}", mode="active")
        finished(connection, "small", mirror)
        return files / (time.perf_counter() - begun)


def _make_files(folder: Path, count: int) -> None:
    """Write packages of 20 kB and their index."""
    folder.mkdir(parents=True)
    index = {}
    for number in range(count):
        name, version = f"pull{number % 200}", f"1.{number}"
        data = make_conda(name, version, files={"share/data": random.Random(number).randbytes(19_000)})
        filename = f"{name}-{version}-0.conda"
        (folder / filename).write_bytes(data)
        index[filename] = {
            "name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "subdir": "noarch",
            "noarch": "generic", "license": "BSD-3-Clause", "timestamp": 1_704_067_200_000, "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(),
        }  # fmt: skip
    document = {"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": index, "repodata_version": 1}
    (folder / "repodata.json").write_text(json.dumps(document))
