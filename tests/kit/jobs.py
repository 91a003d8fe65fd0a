"""Helpers for tests of jobs: queue one, wait for a state, run a worker for the length of a block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from packhouse.core.db import Database
from packhouse.core.jobs import Handler, Job, Worker, progress, submit

#: how long a test waits for what must come, in seconds: long, for machines are busy
PATIENCE = 60.0
#: the same for what processes hear of one another: less than they remember by themselves without hearing anything
HEARD = 30.0


async def enqueue(db: Database, kind: str, subject: str = "s", payload: dict[str, Any] | None = None) -> int:
    return await db.write(lambda unit: submit(unit, kind, subject, payload or {}))


async def seen(db: Database, job_id: int) -> Job:
    job = await progress(db, job_id)
    assert job is not None
    return job


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Wait for the condition."""
    begin = time.monotonic()
    while not await condition():
        assert time.monotonic() - begin < seconds, "waited too long"
        await asyncio.sleep(0.01)


async def in_state(db: Database, job_id: int, state: str, seconds: float = PATIENCE) -> Job:
    async def reached() -> bool:
        return (await seen(db, job_id)).state == state

    await until(reached, seconds)
    return await seen(db, job_id)


@asynccontextmanager
async def working(db: Database, handlers: dict[str, Handler], **options: Any) -> AsyncIterator[Worker]:
    worker = Worker(db, handlers, "test", **options)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.05)
    try:
        yield worker
    finally:
        await worker.stop()
        await running
