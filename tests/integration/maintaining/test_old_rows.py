"""What is only history is forgotten in the end."""

from __future__ import annotations

from packhouse.app import _duties
from packhouse.catalog.changes import forget_old, note
from packhouse.catalog.packages.downloads import forget_old_chunks, take_chunk
from packhouse.core import leases
from packhouse.core.clock import DAY
from packhouse.core.jobs import cancel, submit
from packhouse.core.randomness import new_uuid
from tests.kit.house import House


async def test_jobs_that_ended_long_ago_are_forgotten(house: House) -> None:
    db = house.services.db
    for subject in ("old", "young", "live"):
        await db.write(lambda unit, subject=subject: submit(unit, "mirror", subject, {}))  # type: ignore[misc]  # inference
    for subject in ("old", "young"):
        await db.write(lambda unit, subject=subject: cancel(unit, ("mirror", subject)))  # type: ignore[misc]  # same
    back = f"UPDATE job SET finished_at = finished_at - {31 * DAY} WHERE subject = 'old'"
    await db.write(lambda unit: unit.execute(back))
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert await db.fetch_all("SELECT subject FROM job ORDER BY subject") == [("live",), ("young",)]


async def test_old_changes_and_chunks_go_in_batches(house: House) -> None:
    db = house.services.db
    for _ in range(5):
        await db.write(lambda unit: note(unit, "entry", 1))
        await db.write(lambda unit: take_chunk(unit, new_uuid()))
    back = [f"UPDATE {table} SET at = at - {31 * DAY}" for table in ("change", "download_chunk")]
    for statement in back:
        await db.write(lambda unit, statement=statement: unit.execute(statement))  # type: ignore[misc]  # inference
    assert await db.write(lambda unit: forget_old(unit, limit=2)) == 2
    assert await db.write(lambda unit: forget_old_chunks(unit, 2**62, limit=2)) == 2
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert [await db.fetch_value(f"SELECT count(*) FROM {table}") for table in ("change", "download_chunk")] == [0, 0]


async def test_leases_of_holders_that_died_long_ago_are_forgotten(house: House) -> None:
    db = house.services.db
    for name in ("fetch:old", "fetch:young"):
        await db.write(lambda unit, name=name: leases.acquire(unit, name, "holder", 1.0))  # type: ignore[misc]  # inference
    back = f"UPDATE lease SET until = until - {31 * DAY} WHERE name = 'fetch:old'"
    await db.write(lambda unit: unit.execute(back))
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert await db.fetch_all("SELECT name FROM lease WHERE name LIKE 'fetch:%'") == [("fetch:young",)]
