"""Jobs on both databases: the five verbs, and how runs end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from packhouse.core.db import Database, Unit, open_database
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import (
    Cancelled,
    RunningJob,
    cancel,
    claims,
    forget,
    list_jobs,
    progress,
    submit,
)
from tests.conftest import Backend
from tests.kit.jobs import PATIENCE, enqueue, in_state, seen, working


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


async def test_a_job_runs_and_its_result_can_be_read(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        await run.report(db, {"heard": run.payload["word"], "about": run.subject, "attempt": run.attempt})

    async with working(db, {"say": handler}):
        job_id = await enqueue(db, "say", "channel", {"word": "ä"})
        job = await in_state(db, job_id, "done")
    assert job.progress == {"heard": "ä", "about": "channel", "attempt": 1}
    assert job.started_at and job.finished_at and job.created_at <= job.started_at <= job.finished_at


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
        await in_state(db, job_id, "cancelled")
    assert cleaned == [job_id]


async def test_a_handler_that_does_not_listen_is_cut_off(db: Database) -> None:
    async def handler(run: RunningJob) -> None:
        await asyncio.sleep(600)

    async with working(db, {"k": handler}, patience_seconds=0.3):
        job_id = await enqueue(db, "k")
        await in_state(db, job_id, "running")
        await db.write(lambda unit: cancel(unit, job_id))
        await in_state(db, job_id, "cancelled")


async def test_what_waits_for_others_is_broken_off_when_the_run_must_end(db: Database) -> None:
    broken_off = []

    async def endless() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            broken_off.append(True)

    async def handler(run: RunningJob) -> None:
        assert await run.unless_ended(asyncio.sleep(0, "what it returns")) == "what it returns"
        with pytest.raises(KeyError):
            await run.unless_ended(refusing())
        await run.unless_ended(endless())

    async def refusing() -> None:
        raise KeyError("what it raises")

    async with working(db, {"k": handler}, patience_seconds=500):
        job_id = await enqueue(db, "k")
        await in_state(db, job_id, "running")
        await db.write(lambda unit: cancel(unit, job_id))
        await in_state(db, job_id, "cancelled")
        again = await enqueue(db, "k")
        await in_state(db, again, "running")
    job = await seen(db, again)
    assert (job.state, job.error) == ("queued", ""), "a worker that stops leaves it to others at once"
    assert broken_off == [True, True]


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
    now_running, most, ran, full = 0, 0, [], asyncio.Event()

    async def handler(run: RunningJob) -> None:
        nonlocal now_running, most
        now_running += 1
        most = max(most, now_running)
        if now_running == 3:
            full.set()
        await asyncio.wait_for(full.wait(), PATIENCE)
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


async def done(run: RunningJob, unit: Unit) -> None:
    """Be a batch that changes something."""
    await run.fence(unit)
    await run.got_further(unit)


async def test_workers_that_died_before_the_job_got_further_do_not_count(db: Database) -> None:
    job_id = await enqueue(db, "k")
    lose = "UPDATE job SET state = 'running', losses = losses + 8, run_attempt = 9, holder = 'dead', lease_until = 1"
    await db.write(lambda unit: unit.execute(lose))

    async def handler(run: RunningJob) -> None:
        await db.write(partial(done, run))
        if run.attempt < 12:
            await db.write(lambda unit: unit.execute("UPDATE job SET lease_until = 1"))  # as if it had died
            await asyncio.sleep(600)

    async with working(db, {"k": handler}, lease_seconds=600):  # not renewed meanwhile
        await in_state(db, job_id, "done")
    assert await db.fetch_value("SELECT losses FROM job") == 0


async def test_losses_are_forgotten_once_and_by_a_batch_that_is_kept(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await enqueue(db, "k")
    await db.write(lambda unit: unit.execute(
        "UPDATE job SET state = 'running', losses = 8, run_attempt = 9, holder = 'dead', lease_until = 1"))  # fmt: skip
    forgotten, real = [], claims.forget_losses

    async def counted(unit: Unit, job_id: int, attempt: int) -> None:
        forgotten.append(job_id)
        await real(unit, job_id, attempt)

    monkeypatch.setattr(claims, "forget_losses", counted)

    async def handler(run: RunningJob) -> None:
        async def undone(unit: Unit) -> None:
            await done(run, unit)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await db.write(undone)
        for _ in range(3):
            await db.write(partial(done, run))

    async with working(db, {"k": handler}):
        await in_state(db, job_id, "done")
    assert await db.fetch_value("SELECT losses FROM job") == 0
    assert forgotten == [job_id] * 2
