"""A release that decides otherwise judges everything anew by itself, some names at a time, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import Tally
from packhouse.catalog.policies import engine
from packhouse.catalog.policies.engine import Judging
from packhouse.core.db.migrating import config, engine_for, migrate
from packhouse.security.engine import ENGINE
from packhouse.workflows.judging import anew, duty
from packhouse.workflows.judging.rejudging import judge_waiting
from packhouse.workflows.maintaining.repair import repair
from tests.conftest import Backend
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.inspection import findings, information, seal_all
from tests.kit.judging import advise, govern, judged, listed, status_of

NAMES = ("alfa", "bravo", "lib", "zulu")


@pytest.fixture
async def house(backend: Backend, tmp_path: Path) -> AsyncIterator[House]:
    """A server with two channels of vulnerable packages, under two policies; everything is judged."""
    async with governed(backend, tmp_path) as opened:
        yield opened


@asynccontextmanager
async def governed(backend: Backend, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        for path, rules in {"pub": {"cve_score": 7}, "strict": {"cve_score": 7, "latest_only": True}}.items():
            await opened.channel(path)
            for name in NAMES:
                for version in ("1.0", "2.0", "3.0"):
                    await opened.upload(path, name, version, depends=["python >=3.8"])
            await govern(opened, path, **rules)
        await advise(opened.services, tmp_path, *(osv(number, name) for number, name in enumerate(NAMES, 1)))
        await judged(opened)
        yield opened


async def execute(house: House, *statements: str) -> None:
    async def work(unit: Any) -> None:
        for statement in statements:
            await unit.execute(statement)

    await house.services.db.write(work)


async def judge_by_an_older_one(house: House) -> None:
    """Let findings, verdicts and reasons be those of another engine."""
    await execute(
        house,
        "DELETE FROM finding WHERE name = 'alfa'",
        "UPDATE finding SET version = '3.0' WHERE name = 'zulu'",
        "DELETE FROM verdict",
        "UPDATE overlay SET rule = '' WHERE rule = 'latest_only'",
        "UPDATE engine SET number = number - 1",
    )
    await house.caught_up()


async def said(house: House) -> list[Any]:
    """Return what is said of all files."""
    db = house.services.db
    return [
        sorted(await db.fetch_all("SELECT name, version, vulnerability_id FROM finding")),
        sorted(await db.fetch_all("SELECT record_id, content_id, ruleset_id, rule FROM verdict")),
        sorted(await db.fetch_all("SELECT record_id, channel_id, ruleset_id, rule FROM overlay")),
        [await listed(house, path) for path in ("pub", "strict")],
        [await status_of(house, "pub", f"{name}-{version}-0.conda") for name in NAMES for version in ("1.0", "3.0")],
    ]


async def test_what_an_older_engine_judged_is_right_after_one_round(house: House) -> None:
    before = await said(house)
    assert before[4] == [403, 200] * len(NAMES)
    await judge_by_an_older_one(house)
    assert await said(house) != before
    await duty.judge(house.services)
    await house.services.publisher.publish_waiting()
    await house.caught_up()
    assert await said(house) == before
    assert await engine.judging(house.services.db) == Judging(ENGINE, None, "")
    assert not [str(one) for one in await findings(house.services) if not one.information]


async def test_who_is_judged_by_this_engine_is_left_alone(house: House) -> None:
    await execute(house, "DELETE FROM finding WHERE name = 'alfa'")
    wrong = await said(house)
    assert not await anew.take_over(house.services.db)
    await judged(house)
    assert await said(house) == wrong


async def test_another_process_goes_on_where_one_was_killed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await said(house)
    await judge_by_an_older_one(house)
    monkeypatch.setattr(anew, "NAMES", 1)
    monkeypatch.setattr(duty, "judge_waiting", _killed_after(3))
    with pytest.raises(KeyboardInterrupt):
        await duty.judge(house.services)
    half = await engine.judging(house.services.db)
    assert half == Judging(ENGINE - 1, ENGINE, "lib"), "which waits"
    monkeypatch.undo()
    monkeypatch.setattr(anew, "NAMES", 1)
    rounds = 0
    while await anew.take_over(house.services.db):
        rounds += 1
    assert rounds == 2, "zulu, and a look that finds nothing more"
    await judged(house)
    assert await said(house) == before


async def test_a_third_engine_begins_from_the_start(house: House) -> None:
    before = await said(house)
    await judge_by_an_older_one(house)
    await execute(house, f"UPDATE engine SET following = {ENGINE + 1}, reached = 'yankee'")
    await judged(house)
    assert await said(house) == before
    await execute(house, f"UPDATE engine SET following = {ENGINE + 1}, reached = 'bravo'", "DELETE FROM verdict")
    await judged(house)
    assert await said(house) == before, "nor does a release that was tried for a moment leave what it judged"


async def test_no_name_is_left_out_where_the_database_has_an_order_of_its_own(
    backend: Backend, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend.name.startswith("postgres"):
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.database_of_letters())
        migrate(url)
        backend = replace(backend, database_url=url, env=backend.env | {"PACKHOUSE_DATABASE_URL": url})
    monkeypatch.setattr(anew, "NAMES", 1)
    async with governed(backend, tmp_path) as house:
        await house.upload("pub", "mike")
        tally = Tally((await house.download("pub", "mike"))._replace(name="Mike"), 1, 0, 0)
        await house.services.db.write(lambda unit: downloads.add(unit, [tally]))
        await judged(house)
        before = await said(house)
        await judge_by_an_older_one(house)
        await judged(house)
        assert await said(house) == before


async def test_verify_waits_for_it_and_repair_does_it(house: House) -> None:
    before = await said(house)
    await judge_by_an_older_one(house)
    await seal_all(house.services)
    assert not [one for one in await findings(house.services) if one.invariant == "I6"]
    assert any("wait to be judged" in one for one in await information(house.services))
    assert [one async for one in repair(house.services)] == []
    await house.caught_up()
    assert await said(house) == before
    await judged(house)  # of what was found wrongly it is looked once more whether somebody brought it back meanwhile
    assert not any("wait to be judged" in one for one in await information(house.services))


@pytest.mark.parametrize("records", [0, 1])
def test_what_was_judged_before_engines_had_numbers_is_judged_anew(
    backend: Backend, request: pytest.FixtureRequest, tmp_path: Path, records: int
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if backend.name.startswith("postgres"):
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.database())
    database = engine_for(url)
    with database.connect() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0013")
    with database.begin() as connection:
        for _ in range(records):
            connection.execute(
                text(
                    "INSERT INTO record (sha256, name, version, build, build_number, license, license_family, signed)"
                    " VALUES (:sha256, 'lib', '1.0', '0', 0, '', '', false)"
                ),
                {"sha256": b"0" * 32},
            )
    migrate(url)
    with database.connect() as connection:
        assert connection.execute(text("SELECT number, following FROM engine")).all() == [(0 if records else 1, None)]
    database.dispose()


def _killed_after(times: int) -> Any:
    """Return a duty that is done some times, and then ends with its process."""
    left = times

    async def work(*given: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return await judge_waiting(*given)

    return work
