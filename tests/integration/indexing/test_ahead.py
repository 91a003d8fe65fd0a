"""A large backlog is drafted by other processes: the same index as ever, whatever changes meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import pytest

from packhouse.catalog.packages import leftovers
from packhouse.core.db import Unit
from packhouse.workflows.indexing import drafting, publishing, store
from packhouse.workflows.indexing.ahead import PROCESSES, Drafted
from packhouse.workflows.indexing.drafting import draft_ahead
from packhouse.workflows.indexing.store import Part
from packhouse.workflows.judging import preparing
from tests.conftest import Backend
from tests.integration.indexing.changes import add_passive, dirty_rows, head_of, publish, set_frozen
from tests.integration.indexing.test_publishing import names_shown, take_out
from tests.kit.channel_reader import read_subdir
from tests.kit.house import House
from tests.kit.judging import govern


@pytest.fixture(autouse=True)
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MANY", 5)
    monkeypatch.setattr(publishing, "FEW", 5)
    monkeypatch.setattr(publishing, "NAMES", 8)
    monkeypatch.setattr(drafting, "STEP", 3)


async def test_what_is_drafted_ahead_is_what_is_published_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"p{number:02}" for number in range(40)}
    await add_passive(house, sorted(names))
    await publish(house)
    assert (await names_shown(house), await dirty_rows(house)) == (names, 0)
    drafted = (await read_subdir(house.web, "pub", "noarch")).bodies
    head = await head_of(house)

    async def mark(unit: Unit) -> None:
        await unit.execute(
            "INSERT INTO dirty (channel_id, partition, name) SELECT channel_id, partition, name FROM entry"
        )

    await house.services.db.write(mark)
    monkeypatch.setattr(publishing, "MANY", 5000)  # all of it in the unit itself: nothing differs
    await publish(house)
    assert (await head_of(house), await dirty_rows(house)) == (head, 0)
    assert (await read_subdir(house.web, "pub", "noarch")).bodies == drafted


async def test_a_name_that_changed_after_its_draft_is_left_for_the_next(house: House) -> None:
    await add_passive(house, ["gone", "new", "same"])
    channel, db = await house.find("pub"), house.services.db
    drafts, _ = await draft_ahead(db, channel.id, ["gone", "new", "same"])
    await take_out(house, "gone")
    assert await db.write(lambda unit: publishing.publish_batch(unit, channel.id, drafts))
    assert (await names_shown(house), await dirty_rows(house)) == ({"new", "same"}, 2)
    assert await db.write(lambda unit: publishing.publish_batch(unit, channel.id, drafts)), "published by somebody else"
    assert await head_of(house) == 1
    await publish(house)
    assert (await names_shown(house), await dirty_rows(house)) == ({"new", "same"}, 0)


async def test_names_that_were_too_much_for_one_draft_come_with_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"p{number:02}" for number in range(20)]
    await add_passive(house, names)
    publisher, db = house.services.publisher, house.services.db
    asked: list[list[str]] = []

    def draft_here(channel_id: int, names: Sequence[str]) -> asyncio.Task[Drafted]:
        asked.append([*names])
        return asyncio.ensure_future(draft_ahead(db, channel_id, names))

    monkeypatch.setattr(publisher._drafting, "draft", draft_here)
    monkeypatch.setattr(drafting, "BYTES", 1)
    await publish(house)
    assert (await names_shown(house), await dirty_rows(house)) == (set(names), 0)
    assert len(asked) > len(names) / 8 + 1
    assert max(map(len, asked)) == 8


async def test_a_draft_does_not_answer_what_changed_after_somebody_else_published(house: House) -> None:
    await add_passive(house, ["x"])
    channel, db = await house.find("pub"), house.services.db
    drafts, _ = await draft_ahead(db, channel.id, ["x"])
    await publish(house)
    await take_out(house, "x")
    await db.write(lambda unit: publishing.publish_batch(unit, channel.id, drafts))
    assert await dirty_rows(house) == 1
    await publish(house)
    assert await names_shown(house) == set()


async def test_a_frozen_channel_s_backlog_is_left_alone(house: House) -> None:
    await set_frozen(house, True)
    await add_passive(house, [f"p{number}" for number in range(9)])
    await house.services.publisher.publish_waiting()
    await publish(house)
    assert not house.services.publisher._drafting.runs
    assert await dirty_rows(house) == 9


async def test_what_waits_in_a_frozen_channel_is_staged_ahead_and_shown_at_once(house: House) -> None:
    await house.upload("pub", "stays")
    await set_frozen(house, True)
    added = {f"p{number:02}" for number in range(30)}
    await add_passive(house, sorted(added))
    await publish(house)
    assert await names_shown(house) == {"stays"}
    head = await head_of(house)
    await set_frozen(house, False)
    assert (await names_shown(house), await head_of(house)) == ({"stays"} | added, head + 1)


async def test_processes_are_started_for_a_backlog_that_is_expected(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = house.services.publisher
    publisher.expect(5)
    assert not publisher._drafting.runs, "so few are drafted by whoever publishes them"
    publisher.expect(6)
    assert publisher._drafting.runs
    publisher._drafting.end()

    def refused(*_: object) -> None:
        raise OSError("no process more")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", refused)
    publisher.expect(6)
    assert not publisher._drafting.runs, "and whoever expects it has no trouble of that"
    await add_passive(house, [f"p{number}" for number in range(9)])
    await publish(house)
    assert await dirty_rows(house) == 0


async def test_processes_are_there_when_a_policy_comes_to_hold(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_passive(house, [f"p{number:02}" for number in range(12)])
    house.services.publisher.close()
    running: list[bool] = []
    flip = preparing._flip

    async def look(unit: Unit, ruleset: int, assigned: Mapping[int, int]) -> None:
        running.append(house.services.publisher._drafting.runs)
        await flip(unit, ruleset, assigned)

    monkeypatch.setattr(preparing, "_flip", look)
    await govern(house, "pub", license_not=["GPL3"])
    assert running == [True]


async def test_the_end_of_the_process_is_no_end_of_publishing(house: House) -> None:
    names = [f"p{number}" for number in range(9)]
    await add_passive(house, names)
    channel, publisher = await house.find("pub"), house.services.publisher
    processes = publisher._drafting
    drafts, left = await processes.draft(channel.id, names)
    assert ([one.name for one in drafts], left) == (names, [])
    assert len(processes._pool._processes) == PROCESSES, "none is started beside one that ends"  # type: ignore[union-attr]  # it was started
    os.kill(next(iter(processes._pool._processes)), signal.SIGKILL)  # type: ignore[union-attr]  # it was started
    await publish(house)
    assert (await names_shown(house), await dirty_rows(house)) == (set(names), 0)
    await add_passive(house, [f"q{number}" for number in range(9)])
    await publish(house)
    assert not processes.runs, "they are not tried again at once"
    assert await dirty_rows(house) == 0


async def test_a_part_that_is_about_to_be_shown_is_not_swept(
    house: House, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend.database_url.startswith("sqlite"):
        pytest.skip("SQLite runs one unit at a time")
    await add_passive(house, ["x"])
    channel, db = await house.find("pub"), house.services.db
    parts = [part for one in (await draft_ahead(db, channel.id, ["x"]))[0] for part in one.parts.values() if part]
    await db.write(lambda unit: store.add_parts(unit, parts))  # as a channel leaves it that is cleared
    rows = await leftovers.unshelved_parts(db, 0, 10)
    assert len(rows) == 1
    sweeping: list[asyncio.Task[int]] = []
    add = store.add_parts

    async def add_while_it_is_swept(unit: Unit, parts: Iterable[Part]) -> None:
        await add(unit, parts)
        drop = db.write(lambda other: leftovers.drop_parts(other, [rows[0][0]]))
        sweeping.append(asyncio.ensure_future(drop))
        await asyncio.sleep(0.3)

    monkeypatch.setattr(store, "add_parts", add_while_it_is_swept)
    await publish(house)
    assert await sweeping[0] == 0
    assert await names_shown(house) == {"x"}
