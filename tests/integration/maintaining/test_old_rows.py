"""What is only history is forgotten in the end."""

from __future__ import annotations

from packhouse.app import _duties
from packhouse.core import leases
from packhouse.core.clock import DAY
from packhouse.core.jobs import cancel, submit
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


async def test_leases_of_holders_that_died_long_ago_are_forgotten(house: House) -> None:
    db = house.services.db
    for name in ("fetch:old", "fetch:young"):
        await db.write(lambda unit, name=name: leases.acquire(unit, name, "holder", 1.0))  # type: ignore[misc]  # inference
    back = f"UPDATE lease SET until = until - {31 * DAY} WHERE name = 'fetch:old'"
    await db.write(lambda unit: unit.execute(back))
    [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
    await forgetting.function()
    assert await db.fetch_all("SELECT name FROM lease WHERE name LIKE 'fetch:%'") == [("fetch:young",)]
