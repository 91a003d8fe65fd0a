"""A worker process that runs mirror jobs until it is killed: `python -m tests.kit.mirror_worker`, settings from the
environment. Its lease is short, so that a test need not wait long for the next one to take over."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from packhouse.core.jobs import Worker
from packhouse.workflows.mirroring.run import mirror_handlers
from tests.conftest import Backend
from tests.kit.mirroring import services_on

LEASE_SECONDS = 3.0


async def work() -> None:
    """Run mirror jobs for ever."""
    env = dict(os.environ)
    backend = Backend(
        "worker", env["PACKHOUSE_DATABASE_URL"], env["PACKHOUSE_BLOB_URL"], env, Path(env["PACKHOUSE_DATA_DIR"])
    )
    async with services_on(backend, mirror_concurrency=4) as services:
        await Worker(services.db, mirror_handlers(services), "victim", lease_seconds=LEASE_SECONDS).run()


if __name__ == "__main__":
    asyncio.run(work())
