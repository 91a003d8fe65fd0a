"""Lists and search in a channel of a million files, by 16 clients with a token, through the management API."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.kit.context import Context
from bench.kit.installation import filled
from bench.kit.load import wrk
from bench.kit.report import Line, median

#: the name with the most files (`make_channel`: the first of the popular ones)
LARGEST = "openssl"


def run(context: Context) -> Iterator[Line]:
    """Yield a line for each request and size."""
    for records in context.large_sizes:
        yield from _of_size(context, records)


def _of_size(context: Context, records: int) -> Iterator[Line]:
    packages = "/api/channels/big/artifacts"
    wanted = {
        f"list 100 packages of a channel with {records:,} files": f"{packages}?limit=100",
        f"list 100 files of the largest package, {records:,} files": f"{packages}/conda/{LARGEST}/files?limit=100",
        f"search, exact name, {records:,} files": "/api/artifacts?q=numpy&limit=50",
        f"search, the beginning of many names, {records:,} files": "/api/artifacts?q=py&limit=50",
    }
    lines = {path: Line(work, "/s") for work, path in wanted.items()}
    next(iter(lines.values())).goal = "≥ 2,500/s; PostgreSQL ≥ 1,200/s"
    for setup in context.setups_for(records):
        installation = filled(context, setup, records)
        with installation.serving() as connection:
            for path, line in lines.items():
                answer = connection("GET", path)
                if answer.status != 200 or not json.loads(answer.body)["items"]:
                    raise RuntimeError(f"{path} was answered with {answer.status}: {answer.body[:200]!r}")
                wrk(installation.port, [path], installation.headers, 1, context.folder)
                loads = [
                    wrk(installation.port, [path], installation.headers, context.pick(1, 3), context.folder)
                    for _ in range(context.rounds)
                ]
                line.ours[setup] = median(load.per_second for load in loads)
    yield from lines.values()
