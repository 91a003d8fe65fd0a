"""Jobs go from one worker to another, after a kill, a stop or a long sleep, and no batch is written twice."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhouse.core.db import Database, Unit, open_database
from packhouse.core.jobs import LostLease, RunningJob, Worker
from tests.conftest import Backend
from tests.kit.jobs import enqueue, in_state, seen, until, working
from tests.kit.processes import start, stop

STEPS = 30


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    await database.write(lambda unit: unit.execute("CREATE TABLE step (job_id BIGINT, number INTEGER, worker TEXT)"))
    yield database
    await database.close()


async def steps(run: RunningJob, db: Database, worker: str) -> None:
    """Do numbered steps, a batch each, going on where the last run stopped."""
    for number in range(run.progress.get("done", 0), STEPS):
        await run.checkpoint()
        # what the first one is given is never over before the test has come between
        patient = worker == "first" and number == STEPS - 1
        await run.unless_ended(asyncio.sleep(600 if patient else 0.05))

        async def batch(unit: Unit, number: int = number) -> None:
            await run.fence(unit)
            insert = "INSERT INTO step VALUES (:job, :number, :worker)"
            await unit.execute(insert, job=run.id, number=number, worker=worker)
            await run.report(unit, {"done": number + 1})

        await db.write(batch)


async def worker_process(url: str, name: str, lease_seconds: float) -> None:
    """What runs in the child processes of the tests below."""
    database = open_database(url)
    worker = Worker(database, {"steps": lambda run: steps(run, database, name)}, name, lease_seconds=lease_seconds)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(worker.stop()))
    await worker.run()
    await database.close()


def child(url: str, name: str, lease_seconds: float, folder: Path) -> subprocess.Popen[bytes]:
    lines = [
        "import asyncio, sys",
        f"sys.path.insert(0, {str(Path(__file__).parents[3])!r})",
        "from tests.integration.core.test_takeover import worker_process",
        f"asyncio.run(worker_process({url!r}, {name!r}, {lease_seconds}))",
    ]
    return start([sys.executable, "-c", "\n".join(lines)], log=folder / name)


async def under_way(db: Database, job_id: int) -> None:
    """Wait until some steps are done."""

    async def some() -> bool:
        return int((await seen(db, job_id)).progress.get("done", 0)) >= 5

    await until(some)


async def numbers(db: Database) -> list[int]:
    return [row[0] for row in await db.fetch_all("SELECT number FROM step ORDER BY number")]


async def test_a_batch_of_a_run_that_was_taken_over_is_refused(db: Database) -> None:
    entered, gone_on = asyncio.Event(), asyncio.Event()
    zombies: list[RunningJob] = []

    async def sleeps(run: RunningJob) -> None:
        if run.attempt > 1:
            await steps(run, db, "second")
            return
        zombies.append(run)
        entered.set()
        await gone_on.wait()

    async with working(db, {"steps": sleeps}):
        job_id = await enqueue(db, "steps")
        await entered.wait()
        # as after a pause longer than the lease: the job is another worker's, which this one has not noticed yet
        await db.write(lambda unit: unit.execute("UPDATE job SET run_attempt = run_attempt + 1"))

        async def batch(unit: Unit) -> None:
            await unit.execute("INSERT INTO step VALUES (:job, 0, 'zombie')", job=job_id)
            await zombies[0].fence(unit)

        with pytest.raises(LostLease):
            await db.write(batch)
        with pytest.raises(LostLease):
            await zombies[0].report(db, {"done": 1})

        async def noticed() -> bool:
            return zombies[0].end is not None

        await until(noticed)
        with pytest.raises(LostLease):
            await zombies[0].checkpoint()
        gone_on.set()
        await db.write(lambda unit: unit.execute("UPDATE job SET lease_until = 1"))
        await in_state(db, job_id, "done")
    assert await db.fetch_all("SELECT DISTINCT worker FROM step") == [("second",)]


async def test_a_killed_worker_s_job_is_finished_by_another_one_once(db: Database, backend: Backend) -> None:
    job_id = await enqueue(db, "steps")
    first = child(backend.database_url, "first", 1.5, backend.data_dir)
    try:
        await under_way(db, job_id)
        first.kill()
        first.wait()
        attempt = (await seen(db, job_id)).attempt
        second = child(backend.database_url, "second", 60, backend.data_dir)
        try:
            job = await in_state(db, job_id, "done")
        finally:
            stop(second)
    finally:
        stop(first)
    assert job.attempt == attempt + 1
    assert await numbers(db) == list(range(STEPS))
    assert {row[0] for row in await db.fetch_all("SELECT worker FROM step")} == {"first", "second"}


async def fall_asleep(process: subprocess.Popen[bytes], db: Database) -> None:
    """Stop the process at a moment when it holds no lock of SQLite's, which would hold up everybody."""
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(0.5):
                await db.write(lambda unit: unit.execute("DELETE FROM step WHERE number < 0"))
            return
        except TimeoutError:
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.007)


async def test_a_worker_that_wakes_up_too_late_writes_nothing_more(db: Database, backend: Backend) -> None:
    job_id = await enqueue(db, "steps")
    first = child(backend.database_url, "first", 1, backend.data_dir)
    try:
        await under_way(db, job_id)
        await fall_asleep(first, db)
        attempt = (await seen(db, job_id)).attempt
        second = child(backend.database_url, "second", 60, backend.data_dir)
        try:

            async def taken_over() -> bool:
                return (await seen(db, job_id)).attempt > attempt

            await until(taken_over)
            first.send_signal(signal.SIGCONT)  # both are at work now
            await in_state(db, job_id, "done")
        finally:
            stop(second)
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 0
    finally:
        stop(first)
    assert await numbers(db) == list(range(STEPS))
    assert (await seen(db, job_id)).attempt == attempt + 1


async def test_a_stopped_worker_hands_its_job_over_at_once(db: Database, backend: Backend) -> None:
    job_id = await enqueue(db, "steps")
    first = child(backend.database_url, "first", 30, backend.data_dir)
    try:
        await under_way(db, job_id)
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 0
    finally:
        stop(first)
    assert (await seen(db, job_id)).state == "queued"
    async with working(db, {"steps": lambda run: steps(run, db, "second")}):
        assert (await in_state(db, job_id, "done")).attempt == 2
    assert await numbers(db) == list(range(STEPS))


async def test_a_worker_that_renews_keeps_its_job_past_the_lease(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        await asyncio.sleep(6)

    async with (
        working(db, {"k": handler}, lease_seconds=5),
        working(db, {"k": handler}, lease_seconds=5),
    ):
        job_id = await enqueue(db, "k")
        assert (await in_state(db, job_id, "done")).attempt == 1
