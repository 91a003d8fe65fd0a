"""Leases and recurring duties on both databases: one holder at a time, and a new one when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from packhouse.core.db import Database, open_database
from packhouse.core.jobs import (
    Periodic,
    Timetable,
)
from packhouse.core.leases import acquire, release, renew
from tests.conftest import Backend
from tests.kit.jobs import PATIENCE, until


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


async def test_a_lease_has_one_holder_until_it_ends_or_is_given_up(db: Database) -> None:
    async def take(holder: str, seconds: float = 30) -> bool:
        return await db.write(lambda unit: acquire(unit, "seal", holder, seconds))

    assert sorted(await asyncio.gather(take("a"), take("b"), take("c"))) == [False, False, True]
    holder = await db.fetch_value("SELECT holder FROM lease")
    other = "b" if holder == "a" else "a"
    assert await take(holder)  # its own already
    await db.write(lambda unit: release(unit, "seal", other))
    assert not await take(other)
    assert await take(holder, 0)  # it ends at once
    assert await take(other)
    assert not await db.write(lambda unit: renew(unit, "seal", holder, 30))
    await db.write(lambda unit: release(unit, "seal", other))
    assert await take(holder)


async def test_a_duty_is_done_by_one_process_and_handed_over(db: Database) -> None:
    done: list[str] = []

    def timetable(name: str) -> Timetable:
        async def duty() -> None:
            done.append(name)

        return Timetable(db, [Periodic("seal", 0.02, duty)], name, lease_seconds=10 * PATIENCE)

    tables = {name: timetable(name) for name in ("a", "b")}
    tasks = {name: asyncio.create_task(table.run()) for name, table in tables.items()}

    async def under_way() -> bool:
        return len(done) > 10

    await until(under_way)
    assert len(set(done)) == 1
    first = done[0]
    second = "b" if first == "a" else "a"
    await tables[first].stop()
    count = len(done)

    async def taken_over() -> bool:
        return second in done

    await until(taken_over)
    assert first not in done[count:]
    await tables[second].stop()
    await asyncio.gather(*tasks.values())
    assert await db.fetch_all("SELECT name FROM lease") == []


async def test_a_dead_process_s_duty_is_taken_over_when_its_lease_ends(db: Database) -> None:
    await db.write(lambda unit: acquire(unit, "periodic seal", "dead", 600))
    done = []

    async def duty() -> None:
        done.append(1)
        if len(done) == 1:
            raise RuntimeError("once")

    table = Timetable(db, [Periodic("seal", 0.05, duty)], "alive")
    task = asyncio.create_task(table.run())
    await asyncio.sleep(0.3)
    assert done == []
    await db.write(lambda unit: acquire(unit, "periodic seal", "dead", 0))

    async def again() -> bool:
        return len(done) >= 3

    await until(again)
    await table.stop()
    await task
