"""PostgreSQL goes away and comes back: what callers are told, that nothing half-done stays, and that work goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from packhouse.core.db import Database, Unit, open_database
from packhouse.core.db.migrating import migrate
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import RunningJob, Worker, progress, submit
from tests.kit import services
from tests.kit.processes import start, stop

UP = "UPDATE item SET n = n + 1 WHERE id = :id"


class Server:
    """A PostgreSQL of one test's own, to stop and start again as an administrator would (Linux)."""

    def __init__(self, cluster: services.Postgres) -> None:
        self.url = cluster.url(cluster.database())
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row
        self._pid_file = Path(row[0]) / "postmaster.pid"
        self._log = self._pid_file.parents[1] / "log"
        process = Path("/proc", self._pid())
        self._words = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
        self._words[0] = str((process / "exe").resolve())
        self._started: subprocess.Popen[bytes] | None = None

    def _pid(self) -> str:
        return self._pid_file.read_text().split()[0]

    def stop(self) -> None:
        """Shut down without waiting for clients, and wait until it is down."""
        os.kill(int(self._pid()), signal.SIGINT)
        deadline = time.monotonic() + 60
        while self._pid_file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def start(self) -> None:
        self._started = start(self._words, log=self._log, user="postgres" if os.geteuid() == 0 else None)

    def end(self) -> None:
        if self._started:
            stop(self._started, signal.SIGINT)


@pytest.fixture
def server() -> Iterator[Server]:
    with services.postgres() as cluster:
        server = Server(cluster)
        yield server
        server.end()


@pytest.fixture
async def db(server: Server) -> AsyncIterator[Database]:
    migrate(server.url)
    database = open_database(server.url)
    await database.write(lambda unit: unit.execute("CREATE TABLE item (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)"))
    await database.write(lambda unit: unit.execute("INSERT INTO item VALUES (1, 0), (2, 0)"))
    yield database
    await database.close()


async def test_a_stopped_server_is_said_to_be_away_and_work_goes_on_when_it_is_back(
    db: Database, server: Server
) -> None:
    async def half(unit: Unit) -> None:
        await unit.execute(UP, id=1)
        server.stop()
        await unit.execute(UP, id=2)

    with pytest.raises(PackhouseError) as caught:
        await db.write(half)
    refused = await asyncio.gather(
        db.write(lambda unit: unit.execute(UP, id=1)), db.fetch_value("SELECT 1"), return_exceptions=True
    )
    for error in (caught.value, *refused):
        assert isinstance(error, PackhouseError) and error.code == "try_later" and error.retry_after
    with pytest.raises(PackhouseError, match="cannot be used"):
        migrate(server.url)

    server.start()
    deadline = time.monotonic() + 60
    while True:
        try:
            await db.write(lambda unit: unit.execute(UP, id=2))
            break
        except PackhouseError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    assert await db.fetch_all("SELECT id, n FROM item ORDER BY id") == [(1, 0), (2, 1)]


async def test_a_job_outlives_an_outage(db: Database, server: Server) -> None:
    async def handler(run: RunningJob) -> None:
        if run.attempt == 1:
            await asyncio.to_thread(server.stop)
            asyncio.get_running_loop().call_later(1.5, server.start)
        await db.write(lambda unit: run.fence(unit))

    worker = Worker(db, {"k": handler}, "test", lease_seconds=2)
    running = asyncio.create_task(worker.run())
    job_id = await db.write(lambda unit: submit(unit, "k", "s", {}))
    deadline = time.monotonic() + 120
    state = ""
    while state != "done":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
        try:
            job = await progress(db, job_id)
            state = job.state if job else ""
        except PackhouseError:
            continue
    await worker.stop()
    await running


async def test_units_that_wait_for_each_other_in_a_circle_both_succeed(db: Database) -> None:
    runs, have_one = 0, set()

    async def both(unit: Unit, first: int, second: int) -> None:
        nonlocal runs
        runs += 1
        await unit.execute(UP, id=first)
        have_one.add(first)
        while len(have_one) < 2:
            await unit.fetch_value("SELECT 1 FROM pg_sleep(0.01)")
        await unit.execute(UP, id=second)

    await asyncio.gather(db.write(lambda unit: both(unit, 1, 2)), db.write(lambda unit: both(unit, 2, 1)))
    assert runs >= 3  # one was in the way, and was run again
    assert await db.fetch_all("SELECT n FROM item") == [(2,), (2,)]


async def test_a_connection_that_died_in_the_pool_is_replaced_unnoticed(db: Database, server: Server) -> None:
    with psycopg.connect(server.url, autocommit=True) as administrator:
        administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
            "current_database()"
        )
    assert await db.fetch_value("SELECT 1") == 1
    assert await db.write(lambda unit: unit.execute(UP, id=1)) == 1
