"""The user activity report of a year of downloads: how many rows a second it has, and how much memory it takes.

A row is a line of what a client gets. `--largest` says how many downloads there are, spread evenly over the year.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from bench.kit.context import POSTGRES_3, Context
from bench.kit.installation import Installation, install
from bench.kit.report import Line
from bench.kit.watching import Watch
from packhouse.core.clock import DAY, to_iso
from packhouse.workflows.services import Services
from tests.kit.seeded import seed_downloads

ROUTE = "/api/reports/artifact_downloads"
DAYS = 365


class Told(NamedTuple):
    """What reading a report took."""

    rows: int
    seconds: float
    grown_mb: float


def run(context: Context) -> Iterator[Line]:
    """Yield the lines."""
    count = context.pick(20_000, context.largest)
    setups = [one for one in context.setups if one != POSTGRES_3]
    whole = Line(f"report of {count:,} downloads of a year, CSV", "/s")
    encoded = Line("the same, JSON", "/s")
    one = Line("report of one user in 200, CSV", "s")
    grown = Line("resident memory that the longest of them adds at its peak", "MB")
    for setup in setups:
        context.say(f"adding {count:,} downloads on {setup}")
        made = install(context, setup)
        body = made.run(partial(_seed, count))
        with made.serving():
            user = _read(made, {**body, "download_as": "csv", "user_names": ["admin"]})  # warms up, too
            time.sleep(context.pick(0, 5))
            table = _read(made, {**body, "download_as": "csv"})
            texts = _read(made, {**body, "download_as": "json"})
        if table.rows < count or not 0 < user.rows < count:
            raise RuntimeError(f"{table.rows} and {user.rows} of {count} were told")
        whole.ours[setup], encoded.ours[setup] = table.rows / table.seconds, count / texts.seconds
        one.ours[setup], grown.ours[setup] = user.seconds, max(table.grown_mb, texts.grown_mb)
    yield from (whole, encoded, one, grown)


async def _seed(count: int, services: Services) -> dict[str, str]:
    """Add downloads of the year that ends now; return what a report of all of them is asked by."""
    last = await services.db.now()
    first = last - (DAYS - 1) * DAY
    await seed_downloads(services.db, count, first, last)
    return {"from_date": str(to_iso(first))[:10], "to_date": str(to_iso(last))[:10]}


def _read(made: Installation, body: dict[str, object]) -> Told:
    """Read a report as a client does, keeping none of it; count its lines."""
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=600)
    headers = {**made.headers, "Content-Type": "application/json"}
    rows, before = 0, made.resident_mb()
    with Watch(made.resident_mb) as watch:
        begun = time.perf_counter()
        connection.request("POST", ROUTE, json.dumps(body), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status} {answer.read(500)!r}")
        while data := answer.read(1 << 20):
            rows += data.count(b"\n")
        seconds = time.perf_counter() - begun
    connection.close()
    return Told(rows - 1, seconds, max(0.0, watch.most - before))
