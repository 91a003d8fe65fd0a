"""What stays in memory: the server and its worker when idle, and what an upload of 200 MB adds."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from bench.kit.context import Context
from bench.kit.installation import install
from bench.kit.report import Line, median
from bench.kit.watching import Watch
from tests.kit.condapkg import make_conda


def run(context: Context) -> Iterator[Line]:
    """Yield the lines."""
    size = context.pick(2_000_000, 200_000_000)
    idle = Line("server and worker, idle", "MB")
    taken = Line(f"upload of {size / 1e6:.0f} MB", "s", "≤ 0.8 s")
    grown = Line("resident memory that it adds at its peak", "MB", "≤ 32 MB")
    versions = [f"1.{number}" for number in range(context.rounds + 1)]
    for setup in context.setups:
        installation = install(context, setup)
        installation.channel("big")
        with installation.serving() as connection:
            times, growths = [], []
            connection("PUT", "/api/repo/big/noarch/warm-1-0.conda", make_conda("warm", "1"))
            time.sleep(context.pick(1, 5))
            idle.ours[setup] = installation.resident_mb()
            for version in versions:
                data = make_conda("huge", version, files={"share/data": random.Random(version).randbytes(size)})
                before = installation.resident_mb()
                with Watch(installation.resident_mb) as watch:
                    begun = time.perf_counter()
                    answer = connection("PUT", f"/api/repo/big/noarch/huge-{version}-0.conda", data)
                    times.append(time.perf_counter() - begun)
                if answer.status != 201:
                    raise RuntimeError(f"answered {answer}")
                growths.append(max(0.0, watch.most - before))
        taken.ours[setup], grown.ours[setup] = median(times[1:]), median(growths[1:])  # the first one warms up
    yield from (idle, taken, grown)
