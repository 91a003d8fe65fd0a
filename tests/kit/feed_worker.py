"""A worker process that runs jobs of feeds until it is killed: `python -m tests.kit.feed_worker`, settings from the
environment. Its lease is short, so that a test need not wait long for the next one to take over."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from packhouse.core.jobs import Worker
from packhouse.workflows.feeding import settling, staging
from packhouse.workflows.feeding.run import feed_handlers
from tests.conftest import Backend
from tests.kit.mirroring import services_on

LEASE_SECONDS = 0.5


async def work() -> None:
    """Run jobs of feeds for ever, in small units, so that there are many places to be killed at."""
    staging.BATCH, settling.BATCH = 20, 10
    env = dict(os.environ)
    backend = Backend(
        "worker", env["PACKHOUSE_DATABASE_URL"], env["PACKHOUSE_BLOB_URL"], env, Path(env["PACKHOUSE_DATA_DIR"])
    )
    async with services_on(backend) as services:
        await Worker(services.db, feed_handlers(services), "victim", lease_seconds=LEASE_SECONDS).run()


if __name__ == "__main__":
    asyncio.run(work())
