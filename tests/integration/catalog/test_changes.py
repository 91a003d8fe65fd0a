"""The list of changes: no process misses one, whatever is under way when it begins to follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from packhouse.catalog import changes
from packhouse.catalog.changes import Change, ChangeFeed, note
from packhouse.core.db import Database, Unit, open_database
from tests.conftest import Backend
from tests.kit.jobs import until


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = open_database(backend.database_url)
    yield database
    await database.close()


def following(db: Database) -> tuple[ChangeFeed, list[str]]:
    heard: list[str] = []
    feed = ChangeFeed(db)
    feed.listen(lambda change: heard.append(change.name), lambda: heard.append("reset"))
    return feed, heard


async def change(db: Database, name: str) -> None:
    await db.write(lambda unit: note(unit, "entry", None, name))


async def test_a_change_under_way_at_the_first_poll_is_heard_of(db: Database) -> None:
    if db.dialect == "sqlite":
        pytest.skip("SQLite has one writer: numbers become visible in their order")
    noted, go_on = asyncio.Event(), asyncio.Event()

    async def slow(unit: Unit) -> None:
        await note(unit, "entry", None, "slow")
        noted.set()
        await go_on.wait()

    await change(db, "before")
    writing = asyncio.create_task(db.write(slow))
    await noted.wait()
    await change(db, "fast")
    feed, heard = following(db)
    await feed.poll()
    go_on.set()
    await writing
    await feed.poll()
    await feed.poll()
    assert heard == ["reset", "slow"]


async def test_forgotten_changes_are_not_heard_of_again(db: Database) -> None:
    for number in range(5):
        await change(db, str(number))
    await db.write(lambda unit: unit.execute("DELETE FROM change WHERE name < '4'"))
    feed, heard = following(db)
    await feed.poll()
    await change(db, "next")
    await feed.poll()
    assert heard == ["reset", "next"]


async def test_a_listener_that_fails_once_does_not_end_the_feed(
    db: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.02)
    feed, heard = following(db)
    fails = [True]

    def listener(_: Change) -> None:
        if fails:
            fails.pop()
            raise KeyError("a fault of ours")

    feed.listen(listener, lambda: None)
    task = asyncio.create_task(feed.run())

    async def begun() -> bool:
        return feed.fresh

    await until(begun)
    await change(db, "one")

    async def caught_up() -> bool:
        return not fails and "one" in heard and feed.fresh

    await until(caught_up)
    await change(db, "two")

    async def heard_two() -> bool:
        return "two" in heard

    await until(heard_two)
    assert "changes could not be followed" in caplog.text
    task.cancel()
