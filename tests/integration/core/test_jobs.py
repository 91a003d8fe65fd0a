"""Jobs on both databases: the five verbs, the worker, take-over after a kill, fences, and recurring duties."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import (
    Cancelled,
    Handler,
    Job,
    LostLease,
    Periodic,
    RunningJob,
    Timetable,
    Turn,
    Worker,
    cancel,
    forget,
    list_jobs,
    progress,
    submit,
)
from packhouse.core.leases import acquire, release, renew
from tests.conftest import Backend
from tests.kit.processes import start, stop

STEPS = 30


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    await database.write(lambda unit: unit.execute("CREATE TABLE step (job_id BIGINT, number INTEGER, worker TEXT)"))
    yield database
    await database.close()


async def enqueue(db: Database, kind: str, subject: str = "s", payload: dict[str, Any] | None = None) -> int:
    return await db.write(lambda unit: submit(unit, kind, subject, payload or {}))


async def seen(db: Database, job_id: int) -> Job:
    job = await progress(db, job_id)
    assert job is not None
    return job


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> float:
    """Wait for the condition and return how many seconds that took."""
    begin = time.monotonic()
    while not await condition():
        assert time.monotonic() - begin < seconds, "waited too long"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def in_state(db: Database, job_id: int, state: str, seconds: float = 10) -> Job:
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


async def steps(run: RunningJob, db: Database, worker: str) -> None:
    """Do numbered steps, a batch each, going on where the last run stopped."""
    for number in range(run.progress.get("done", 0), STEPS):
        await run.checkpoint()
        await asyncio.sleep(0.05)

        async def batch(unit: Unit, number: int = number) -> None:
            await run.fence(unit)
            await unit.execute("INSERT INTO step VALUES (:job, :number, :worker)", job=run.id, number=number,
                               worker=worker)  # fmt: skip
            await run.report(unit, {"done": number + 1})

        await db.write(batch)


async def worker_process(url: str, name: str, lease_seconds: float) -> None:
    """What runs in the child processes of the tests below."""
    database = open_database(url)
    worker = Worker(database, {"steps": lambda run: steps(run, database, name)}, name, lease_seconds=lease_seconds)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(worker.stop()))
    await worker.run()
    await database.close()


def child(url: str, name: str, lease_seconds: float, folder: Path) -> Any:
    code = f"import asyncio; from tests.integration.core import test_jobs as t; asyncio.run(t.worker_process({url!r}, {name!r}, {lease_seconds}))"  # noqa: E501  # one line of code
    root = Path(__file__).parents[3]
    return start([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"], log=folder / name)


# ---------------------------------------------------------------- the verbs


async def test_a_job_runs_soon_and_its_result_can_be_read(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        await run.report(db, {"heard": run.payload["word"], "about": run.subject, "attempt": run.attempt})

    async with working(db, {"say": handler}):
        job_id = await enqueue(db, "say", "channel", {"word": "ä"})
        job = await in_state(db, job_id, "done", 0.5)
    assert job.progress == {"heard": "ä", "about": "channel", "attempt": 1}
    assert job.started_at and job.finished_at and job.created_at <= job.started_at <= job.finished_at


async def test_a_worker_in_the_same_process_can_be_woken(db: Database) -> None:
    async def handler(run: RunningJob) -> None: ...

    taken = []
    async with working(db, {"k": handler}) as worker:
        for number in range(5):
            job_id = await enqueue(db, "k", str(number))
            worker.wake()
            job = await in_state(db, job_id, "done")
            assert job.started_at
            taken.append(job.started_at - job.created_at)
    assert sorted(taken)[2] < 100_000


async def test_a_rolled_back_unit_submits_nothing(db: Database) -> None:
    async def work(unit: Unit) -> None:
        await submit(unit, "k", "s", {})
        raise KeyError("the upload failed")

    with pytest.raises(KeyError):
        await db.write(work)
    assert await list_jobs(db) == []


async def test_a_subject_has_one_live_job_of_a_kind(db: Database) -> None:
    ids = await asyncio.gather(*(enqueue(db, "mirror", "m1", {"n": number}) for number in range(20)))
    assert len(set(ids)) == 1
    assert await enqueue(db, "mirror", "m2") != ids[0] != await enqueue(db, "index", "m1")

    async def handler(run: RunningJob) -> None: ...

    async with working(db, {"mirror": handler}):
        await in_state(db, ids[0], "done")
        assert await enqueue(db, "mirror", "m1") != ids[0]


async def test_a_submit_for_now_moves_a_waiting_job_forward(db: Database) -> None:
    later = await db.now() + 3_600_000_000
    job_id = await db.write(lambda unit: submit(unit, "k", "s", {}, not_before=later))

    async def handler(run: RunningJob) -> None: ...

    async with working(db, {"k": handler}):
        await asyncio.sleep(0.5)
        assert (await seen(db, job_id)).state == "queued"
        assert await enqueue(db, "k") == job_id
        await in_state(db, job_id, "done")


async def test_jobs_are_listed_newest_first_in_pages_without_an_end(db: Database) -> None:
    async def many(unit: Unit) -> list[int]:
        return [await submit(unit, "k", f"s{number}", {}) for number in range(250)]

    ids = await db.write(many)
    await enqueue(db, "other")
    listed: list[int] = []
    while page := await list_jobs(db, kind="k", state="queued", before=listed[-1] if listed else None, limit=99):
        listed += [job.id for job in page]
    assert listed == sorted(ids, reverse=True)
    assert [job.subject for job in await list_jobs(db, kind="k", subject="s7")] == ["s7"]


async def test_ended_jobs_can_be_forgotten_and_live_ones_not(db: Database) -> None:
    ended, live = await enqueue(db, "k", "1"), await enqueue(db, "k", "2")
    await db.write(lambda unit: cancel(unit, ended))
    assert await db.write(lambda unit: forget(unit, unit.now + 1)) == 1
    assert await progress(db, ended) is None
    assert (await seen(db, live)).state == "queued"


# ---------------------------------------------------------------- how runs end


async def test_a_waiting_job_is_cancelled_at_once(db: Database) -> None:
    job_id = await enqueue(db, "k", "s")
    assert await db.write(lambda unit: cancel(unit, ("k", "s"))) == "cancelled"
    assert await db.write(lambda unit: cancel(unit, job_id)) is None
    assert (await seen(db, job_id)).state == "cancelled"
    assert await enqueue(db, "k", "s") != job_id


async def test_a_running_job_learns_that_it_is_cancelled_and_may_clean_up(db: Database) -> None:
    cleaned = []

    async def handler(run: RunningJob) -> None:
        try:
            while True:
                await run.checkpoint()
                await asyncio.sleep(0.01)
        except Cancelled:
            cleaned.append(run.id)
            raise

    async with working(db, {"k": handler}):
        job_id = await enqueue(db, "k")
        await in_state(db, job_id, "running")
        assert await db.write(lambda unit: cancel(unit, job_id)) == "running"
        with pytest.raises(PackhouseError, match="still being cancelled"):
            await enqueue(db, "k")
        await in_state(db, job_id, "cancelled", 1)
    assert cleaned == [job_id]


async def test_a_handler_that_does_not_listen_is_cut_off(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        await asyncio.sleep(60)

    async with working(db, {"k": handler}, patience_seconds=0.3):
        job_id = await enqueue(db, "k")
        await in_state(db, job_id, "running")
        await db.write(lambda unit: cancel(unit, job_id))
        await in_state(db, job_id, "cancelled", 3)


async def test_a_failure_says_why_but_tells_no_secret(db: Database) -> None:
    async def refuses(run: RunningJob) -> None:
        raise PackhouseError("upstream_failed", "The upstream answered 500.", "Try again.")

    async def breaks(run: RunningJob) -> None:
        raise ValueError("https://user:hunter2@example.org")

    async with working(db, {"refuses": refuses, "breaks": breaks}):
        first, second = await enqueue(db, "refuses"), await enqueue(db, "breaks")
        assert (await in_state(db, first, "failed")).error == "The upstream answered 500. Try again."
        error = (await in_state(db, second, "failed")).error
    assert "ValueError" in error and str(second) in error and "hunter2" not in error


async def test_a_job_whose_parts_are_away_waits_and_is_tried_again(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        if run.attempt == 1:
            raise PackhouseError("try_later", "The store is away.", retry_after=1)

    async with working(db, {"k": handler}):
        job_id = await enqueue(db, "k")
        job = await in_state(db, job_id, "done")
    assert job.attempt == 2 and job.error == ""
    assert job.finished_at and job.started_at and job.finished_at - job.started_at >= 1_000_000


async def test_no_more_jobs_run_at_once_than_allowed_and_none_twice(db: Database) -> None:
    now_running, most, ran = 0, 0, []

    async def handler(run: RunningJob) -> None:
        nonlocal now_running, most
        now_running += 1
        most = max(most, now_running)
        await asyncio.sleep(0.02)
        ran.append(run.subject)
        now_running -= 1

    subjects = [str(number) for number in range(20)]
    ids = [await enqueue(db, "k", subject) for subject in subjects]
    async with working(db, {"k": handler}, concurrency=2), working(db, {"k": handler}, concurrency=1):
        for job_id in ids:
            await in_state(db, job_id, "done")
    assert most == 3
    assert sorted(ran) == sorted(subjects)


async def test_a_job_that_kills_its_workers_is_given_up(db: Database) -> None:
    job_id = await enqueue(db, "k")
    await db.write(lambda unit: unit.execute(
        "UPDATE job SET state = 'running', losses = 9, run_attempt = 9, holder = 'dead', lease_until = 1"))  # fmt: skip
    ran = []

    async def handler(run: RunningJob) -> None:
        ran.append(run.id)

    async with working(db, {"k": handler}):
        assert "10 workers died" in (await in_state(db, job_id, "failed")).error
    assert ran == []


# ---------------------------------------------------------------- take-over


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
    second = None
    try:

        async def under_way() -> bool:
            return int((await seen(db, job_id)).progress.get("done", 0)) >= 5

        await until(under_way)
        second = child(backend.database_url, "second", 1.5, backend.data_dir)
        first.send_signal(signal.SIGKILL)
        job = await in_state(db, job_id, "done", 20)
    finally:
        for process in (first, second):
            if process is not None:
                stop(process)
    assert job.attempt == 2
    rows = await db.fetch_all("SELECT number, worker FROM step ORDER BY number")
    assert [row[0] for row in rows] == list(range(STEPS))
    assert {row[1] for row in rows} == {"first", "second"}


async def test_a_stopped_worker_hands_its_job_over_at_once(db: Database, backend: Backend) -> None:
    job_id = await enqueue(db, "steps")
    first = child(backend.database_url, "first", 30, backend.data_dir)
    second = None
    try:

        async def under_way() -> bool:
            return int((await seen(db, job_id)).progress.get("done", 0)) >= 5

        await until(under_way)
        first.send_signal(signal.SIGTERM)
        assert first.wait(5) == 0
        assert (await seen(db, job_id)).state == "queued"
        second = child(backend.database_url, "second", 30, backend.data_dir)
        job = await in_state(db, job_id, "done", 20)
    finally:
        for process in (first, second):
            if process is not None:
                stop(process)
    assert job.attempt == 2
    assert [row[0] for row in await db.fetch_all("SELECT number FROM step ORDER BY number")] == list(range(STEPS))


async def test_a_worker_that_renews_keeps_its_job_past_the_lease(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        await asyncio.sleep(2.5)

    async with (
        working(db, {"k": handler}, lease_seconds=1),
        working(db, {"k": handler}, lease_seconds=1),
    ):
        job_id = await enqueue(db, "k")
        assert (await in_state(db, job_id, "done")).attempt == 1


# ---------------------------------------------------------------- leases and duties


async def test_a_lease_has_one_holder_until_it_ends_or_is_given_up(db: Database) -> None:
    async def take(holder: str, seconds: float = 30) -> bool:
        return await db.write(lambda unit: acquire(unit, "seal", holder, seconds))

    assert sorted(await asyncio.gather(take("a"), take("b"), take("c"))) == [False, False, True]
    holder = await db.fetch_value("SELECT holder FROM lease")
    other = "b" if holder == "a" else "a"
    assert await take(holder, 0.2)  # its own already
    await db.write(lambda unit: release(unit, "seal", other))
    assert not await take(other)
    await asyncio.sleep(0.25)
    assert await take(other)
    assert not await db.write(lambda unit: renew(unit, "seal", holder, 30))
    await db.write(lambda unit: release(unit, "seal", other))
    assert await take(holder)


async def test_a_duty_is_done_by_one_process_and_handed_over(db: Database) -> None:
    done: list[str] = []

    def timetable(name: str) -> Timetable:
        async def duty(turn: Turn) -> None:
            await db.write(turn.fence)
            done.append(name)

        return Timetable(db, [Periodic("seal", 0.02, duty)], name, lease_seconds=2)

    tables = {name: timetable(name) for name in ("a", "b")}
    tasks = {name: asyncio.create_task(table.run()) for name, table in tables.items()}
    await asyncio.sleep(0.5)
    assert len(set(done)) == 1 and len(done) > 3
    first = done[0]
    second = "b" if first == "a" else "a"
    await tables[first].stop()
    count = len(done)

    async def taken_over() -> bool:
        return second in done

    assert await until(taken_over, 1) < 1
    assert first not in done[count:]
    await tables[second].stop()
    await asyncio.gather(*tasks.values())
    assert await db.fetch_all("SELECT name FROM lease") == []


async def test_a_dead_process_s_duty_is_taken_over_when_its_lease_ends(db: Database) -> None:
    await db.write(lambda unit: acquire(unit, "periodic seal", "dead", 0.5))
    done = []

    async def duty(turn: Turn) -> None:
        done.append(1)
        if len(done) == 1:
            raise RuntimeError("once")

    table = Timetable(db, [Periodic("seal", 0.05, duty)], "alive", lease_seconds=1)
    task = asyncio.create_task(table.run())
    await asyncio.sleep(0.3)
    assert done == []

    async def again() -> bool:
        return len(done) >= 3

    await until(again)
    await table.stop()
    await task
