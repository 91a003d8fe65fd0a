"""The database on both backends: what commits, what does not, and how units of work meet each other."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import column, func, select, table

from packhouse.core.db import Database, Unit, any_of, each_of, open_database
from packhouse.core.db import sqlite as sqlite_backend
from packhouse.core.db.statements import compiled
from packhouse.core.errors import PackhouseError
from tests.conftest import Backend

ITEM = table("item", column("id"), column("n"))
SOME = select(ITEM.c.id).where(any_of(ITEM.c.id, "ids")).order_by(ITEM.c.id)
ADD = "INSERT INTO item (id, n) VALUES (:id, 0)"
COUNT = "SELECT count(*) FROM item"


async def with_table(url: str) -> Database:
    db = open_database(url)
    await db.write(lambda unit: unit.execute("CREATE TABLE item (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)"))
    return db


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[Database]:
    database = await with_table(backend.database_url)
    yield database
    await database.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "packhouse.db"


@pytest.fixture
async def embedded(file: Path) -> AsyncIterator[Database]:
    database = await with_table(f"sqlite:///{file}")
    yield database
    await database.close()


async def add(db: Database, number: int) -> None:
    await db.write(lambda unit: unit.execute(ADD, id=number))


# ---------------------------------------------------------------- both backends


async def test_a_unit_s_changes_are_seen_once_it_has_returned(db: Database) -> None:
    async def work(unit: Unit) -> int:
        await unit.execute_many(ADD, [{"id": number} for number in range(5)])
        assert await unit.fetch_value(COUNT) == 5  # its own changes
        return await unit.execute("UPDATE item SET n = 1 WHERE id < :id", id=3)

    assert await db.write(work) == 3
    assert await db.fetch_all("SELECT id, n FROM item ORDER BY id") == [(0, 1), (1, 1), (2, 1), (3, 0), (4, 0)]
    assert await db.fetch_one("SELECT id FROM item WHERE id = :id", id=9) is None


async def test_any_of_takes_a_list_of_any_length(db: Database) -> None:
    await db.write(lambda unit: unit.execute_many(ADD, [{"id": number} for number in range(10)]))
    assert await db.fetch_all(SOME, ids=[]) == []
    assert await db.fetch_all(SOME, ids=[3, 7, 99]) == [(3,), (7,)]
    assert len(await db.fetch_all(SOME, ids=list(range(70_000)))) == 10


async def test_each_of_asks_of_every_text_by_itself(db: Database) -> None:
    await db.write(lambda unit: unit.execute_many(ADD, [{"id": number} for number in range(10)]))
    each = each_of("texts").table_valued("value")
    below = select(func.count()).select_from(ITEM).where(ITEM.c.id < func.length(each.c.value)).scalar_subquery()
    asked = select(each.c.value, below).order_by(each.c.value)
    assert await db.fetch_all(asked, texts=[]) == []
    assert await db.fetch_all(asked, texts=["o'ne", "", '"', "o'ne"]) == [("", 0), ('"', 1), ("o'ne", 4), ("o'ne", 4)]


async def test_a_failing_unit_leaves_nothing_and_does_not_touch_its_neighbours(db: Database) -> None:
    async def work(unit: Unit, number: int) -> None:
        await unit.execute(ADD, id=number)
        await unit.execute(ADD, id=number + 1000)
        if number % 3 == 0:
            raise KeyError(number)

    async def one(number: int) -> None:
        await db.write(lambda unit: work(unit, number))

    results = await asyncio.gather(*(one(number) for number in range(60)), return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, KeyError)] == list(range(0, 60, 3))
    kept = [number for number in range(60) if number % 3]
    assert [row[0] for row in await db.fetch_all("SELECT id FROM item ORDER BY id")] == (
        kept + [number + 1000 for number in kept]
    )


async def test_a_statement_that_breaks_a_rule_of_the_schema_is_a_bug_not_an_outage(db: Database) -> None:
    await add(db, 1)
    with pytest.raises(Exception, match=r"(?i)unique") as caught:
        await add(db, 1)
    assert not isinstance(caught.value, PackhouseError)
    await add(db, 2)


async def test_a_unit_that_refers_to_a_row_which_is_gone_is_refused_and_leaves_nothing(db: Database) -> None:
    await db.write(lambda unit: unit.execute("CREATE TABLE piece (item_id BIGINT NOT NULL REFERENCES item (id))"))

    async def work(unit: Unit) -> None:
        await unit.execute(ADD, id=1)
        await unit.execute("INSERT INTO piece (item_id) VALUES (2)")

    with pytest.raises(PackhouseError, match="deleted meanwhile") as error:
        await db.write(work)
    assert error.value.code == "conflict"
    assert await db.fetch_value(COUNT) == 0
    await add(db, 2)
    await db.write(lambda unit: unit.execute("INSERT INTO piece (item_id) VALUES (2)"))


async def test_counting_up_from_many_units_loses_none(db: Database, backend: Backend) -> None:
    await add(db, 1)
    other = open_database(backend.database_url)
    up = "UPDATE item SET n = n + 1 WHERE id = 1"
    await asyncio.gather(*(which.write(lambda unit: unit.execute(up)) for which in [db, other] * 50))
    assert await db.fetch_value("SELECT n FROM item") == 100
    await other.close()


async def test_a_unit_s_clock_is_the_database_s_and_never_goes_back(db: Database) -> None:
    async def now(unit: Unit) -> int:
        return unit.now

    times = [await db.write(now) for _ in range(20)]
    assert times == sorted(set(times))
    assert abs(await db.now() - time.time_ns() // 1000) < 5_000_000


async def test_a_stream_shows_one_snapshot_in_batches(db: Database) -> None:
    await db.write(lambda unit: unit.execute_many(ADD, [{"id": number} for number in range(5000)]))
    sizes: list[int] = []
    async for rows in db.stream("SELECT id FROM item ORDER BY id"):
        if not sizes:
            await db.write(lambda unit: unit.execute("DELETE FROM item WHERE id >= 100"))
        sizes.append(len(rows))
    assert sum(sizes) == 5000 and len(sizes) > 1
    assert await db.fetch_value(COUNT) == 100


async def test_what_is_queued_when_the_database_closes_is_kept(backend: Backend) -> None:
    db = await with_table(backend.database_url)
    writes = [asyncio.create_task(add(db, number)) for number in range(20)]
    await asyncio.gather(*writes)
    await db.close()
    again = open_database(backend.database_url)
    assert await again.fetch_value(COUNT) == 20
    await again.close()


async def test_a_full_disk_is_said_as_such_and_writing_goes_on_after_it(db: Database) -> None:
    async def fill(unit: Unit) -> None:
        if unit.dialect == "postgresql":  # what its server sends then; a real full disk would take the machine down
            await unit.execute("DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$")
        pages = await unit.fetch_value("PRAGMA page_count")
        await unit.fetch_all(f"PRAGMA max_page_count = {pages + 4}")
        await unit.execute_many(ADD, [{"id": number} for number in range(100_000)])

    async def make_room(unit: Unit) -> None:
        if unit.dialect == "sqlite":
            await unit.fetch_all("PRAGMA max_page_count = 1000000")

    with pytest.raises(PackhouseError, match="disk of the database is full") as caught:
        await db.write(fill)
    assert caught.value.code == "storage_full"
    await db.write(make_room)
    await add(db, 1)
    assert await db.fetch_value(COUNT) == 1


# ---------------------------------------------------------------- SQLite


def commits(wal: Path) -> int:
    """Count the commits in a WAL: frames whose header names a database size (https://sqlite.org/fileformat2.html)."""
    data = wal.read_bytes()
    page = struct.unpack(">I", data[8:12])[0]
    salt = data[16:24]
    frames = (data[at : at + 24] for at in range(32, len(data), 24 + page))
    return sum(1 for frame in frames if frame[8:16] == salt and frame[4:8] != b"\0\0\0\0")


async def test_units_that_wait_share_a_commit(embedded: Database, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_backend, "GROUP_SECONDS", 0.5)
    wal = file.with_name(file.name + "-wal")
    before = commits(wal)
    await asyncio.gather(*(add(embedded, number) for number in range(100)))
    shared = commits(wal) - before
    assert await embedded.fetch_value(COUNT) == 100
    assert 1 <= shared <= 20
    await add(embedded, 1000)
    assert commits(wal) - before == shared + 1


async def test_a_unit_that_awaits_anything_else_is_refused(embedded: Database) -> None:
    async def work(unit: Unit) -> None:
        await unit.execute(ADD, id=1)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="other than the database"):
        await embedded.write(work)
    assert await embedded.fetch_value(COUNT) == 0


async def test_a_writer_waits_for_another_process_and_says_try_later_in_the_end(
    embedded: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(add(embedded, 1))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    assert await embedded.fetch_value(COUNT) == 0  # readers never wait
    other.execute("COMMIT")
    await waiting

    monkeypatch.setattr(sqlite_backend, "BUSY_SECONDS", 1.0)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(PackhouseError) as caught:
        await add(embedded, 2)
    assert caught.value.code == "try_later" and caught.value.retry_after
    other.execute("COMMIT")
    await add(embedded, 3)
    other.close()
    assert await embedded.fetch_all("SELECT id FROM item ORDER BY id") == [(1,), (3,)]


async def test_a_writer_that_cannot_open_the_file_says_so_and_tries_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> sqlite3.Connection:
        return sqlite3.connect(file.parent / "no" / "such" / "folder")

    really = sqlite_backend.connect
    monkeypatch.setattr(sqlite_backend, "connect", refuse)
    database = open_database(f"sqlite:///{file}")
    with pytest.raises(PackhouseError) as caught:
        await add(database, 1)
    assert caught.value.code == "try_later"
    monkeypatch.setattr(sqlite_backend, "connect", really)
    assert await database.write(lambda unit: unit.fetch_value("SELECT 1")) == 1
    await database.close()


async def test_a_caller_whose_loop_is_gone_does_not_end_the_writer(embedded: Database) -> None:
    closed = threading.Event()

    async def work(unit: Unit) -> None:
        closed.wait(60)
        await unit.execute(ADD, id=1)

    gone = asyncio.new_event_loop()
    writing = gone.create_task(embedded.write(work))
    gone.call_soon(gone.stop)
    await asyncio.to_thread(gone.run_forever)
    gone.close()
    closed.set()
    await asyncio.wait_for(add(embedded, 2), 60)
    assert not writing.done()
    assert await embedded.fetch_value(COUNT) == 2


async def test_a_unit_that_is_cancelled_from_within_does_not_end_the_writer(embedded: Database) -> None:
    async def work(unit: Unit) -> None:
        await unit.execute(ADD, id=1)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(embedded.write(work), 60)
    await asyncio.wait_for(add(embedded, 2), 60)
    assert await embedded.fetch_all("SELECT id FROM item") == [(2,)]


async def test_a_write_after_the_end_is_refused_instead_of_waiting_for_ever(file: Path) -> None:
    database = await with_table(f"sqlite:///{file}")
    await database.fetch_large(COUNT)
    await database.close()
    with pytest.raises(PackhouseError) as caught:
        await asyncio.wait_for(add(database, 1), 60)
    assert caught.value.code == "try_later"
    assert not file.with_name(file.name + "-wal").exists()  # the last connection is closed: SQLite tidied up


async def test_any_of_uses_the_index_of_its_column(embedded: Database) -> None:
    text, literals = compiled(SOME, "sqlite")
    plan = await embedded.fetch_all(f"EXPLAIN QUERY PLAN {text}", ids=[1], **literals)
    assert any("SEARCH item USING" in row[3] for row in plan), plan


async def test_a_stream_cannot_write_either_and_says_when_the_file_is_away(embedded: Database, file: Path) -> None:
    with pytest.raises(PackhouseError) as refused:
        await anext(aiter(embedded.stream("DELETE FROM item RETURNING id")))
    assert refused.value.code == "try_later"
    file.rename(file.with_name("elsewhere"))
    file.mkdir()
    with pytest.raises(PackhouseError) as away:
        await anext(aiter(embedded.stream("SELECT id FROM item")))
    assert away.value.code == "try_later"


async def test_reads_cannot_write(embedded: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)readonly|cannot be used"):
        await embedded.fetch_all("DELETE FROM item RETURNING id")


# ---------------------------------------------------------------- which database


@pytest.mark.parametrize("url", ["mysql://x", "sqlite://relative.db", ""])
def test_an_unknown_database_url_is_refused(url: str) -> None:
    with pytest.raises(PackhouseError, match="database_url"):
        open_database(url)


async def test_who_always_has_more_to_write_leaves_every_second_turn_to_others(embedded: Database, file: Path) -> None:
    turns = 0

    async def long_work(unit: Unit) -> None:
        nonlocal turns
        turns += 1
        time.sleep(0.02)  # as long as a batch of a mirror's run

    async def go_on() -> None:
        while True:
            await embedded.write(long_work)

    other = open_database(f"sqlite:///{file}")
    busy = [asyncio.create_task(go_on()) for _ in range(3)]
    try:
        waited = []
        for number in range(20):
            before = turns
            await add(other, number)
            waited.append(turns - before)
    finally:
        for one in busy:
            one.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await other.close()
    assert sum(waited) <= 2 * len(waited)  # each waits for the turn that is being taken, and it may begin just then
