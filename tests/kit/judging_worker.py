"""A process that judges until it is killed: `python -m tests.kit.judging_worker`, settings from the environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from packhouse.workflows.judging import duty, preparing, rejudging
from tests.conftest import Backend
from tests.kit.mirroring import services_on


async def work() -> None:
    """Judge for ever, in small units, so that there are many places to be killed at."""
    preparing.FILES = preparing.PAST = rejudging.FILES = rejudging.AT_A_TIME = 100
    env = dict(os.environ)
    backend = Backend(
        "worker", env["PACKHOUSE_DATABASE_URL"], env["PACKHOUSE_BLOB_URL"], env, Path(env["PACKHOUSE_DATA_DIR"])
    )
    async with services_on(backend) as services:
        print("ready", flush=True)
        while True:
            await duty.judge(services)
            await services.publisher.publish_waiting()
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(work())
