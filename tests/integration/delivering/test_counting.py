"""Downloads are counted once each, whatever breaks on the way to the database."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.downloads.items import Wanted
from packhouse.catalog.downloads.store import open_items
from packhouse.catalog.packages import downloads, entries, summaries
from packhouse.catalog.packages.downloads import Tally
from packhouse.core.db import Unit
from packhouse.workflows.delivering.counting import DownloadCounter
from packhouse.workflows.indexing import publishing
from packhouse.workflows.indexing.publishing import publish_batch
from tests.kit.house import House

FILE = "/api/repo/pub/noarch/one-1.0-0.conda"


@pytest.fixture
async def counter(house: House, tmp_path: Path) -> DownloadCounter:
    """A counter of our own, which folds only when told to, and a package to count."""
    await house.upload("pub", "one")
    return DownloadCounter(house.services.db, tmp_path / "counts")


async def counted(house: House) -> tuple[int, int]:
    """Return the downloads of the file and of its package."""
    db = house.services.db
    file = await db.fetch_value("SELECT coalesce(sum(count), 0) FROM download")
    return int(file), int(await db.fetch_value("SELECT download_count FROM package WHERE name = 'one'"))


async def single(house: House) -> int:
    """Return how many downloads are kept one by one."""
    items = open_items(house.services.db)
    found = [one async for batch in items.read(Wanted(0, 2**52)) for one in batch]
    await items.close()
    return len(found)


async def note(house: House, counter: DownloadCounter, times: int) -> None:
    """Count some downloads of the package."""
    download = await house.download("pub", "one")
    for _ in range(times):
        counter.count(download)


async def test_a_download_is_counted_and_what_is_none_is_not(house: House) -> None:
    await house.upload("pub", "one")
    tag = (await house.web.head(FILE)).headers["etag"]
    await house.web.get(FILE, if_none_match=tag)
    await house.web.get(FILE, range="bytes=100-")
    await house.web.get(FILE, range="bytes=999999999-")
    await house.web.get("/api/repo/pub/noarch/two-1.0-0.conda")
    await house.server._counter.fold()
    assert await counted(house) == (0, 0)
    for _ in range(3):
        await house.web.get(FILE)
    await house.web.get(FILE, range="bytes=0-")
    await house.server._counter.fold()
    assert await counted(house) == (4, 4)


async def test_folding_the_same_chunk_twice_never_doubles(
    house: House, counter: DownloadCounter, tmp_path: Path
) -> None:
    await note(house, counter, 5)
    counter._spool()
    [chunk] = (tmp_path / "counts").glob("*.chunk")
    kept = chunk.read_bytes()
    await counter.fold()
    chunk.write_bytes(kept)  # as if the process had died between the commit and the removal
    await counter.fold()
    assert (await counted(house), await single(house)) == ((5, 5), 5)
    assert not chunk.exists()


async def test_a_chunk_that_was_added_days_ago_is_not_added_again(
    house: House, counter: DownloadCounter, tmp_path: Path
) -> None:
    await note(house, counter, 5)
    counter._spool()
    [chunk] = (tmp_path / "counts").glob("*.chunk")
    kept = chunk.read_bytes()
    await counter.fold()
    await house.services.db.write(lambda unit: unit.execute("UPDATE download_chunk SET at = 0"))
    chunk.write_bytes(kept)  # the process had died between the commit and the removal, and starts a long time later
    (tmp_path / "counts" / "0.chunk").write_bytes(b"[]")  # and finds something to add before it
    later = DownloadCounter(house.services.db, tmp_path / "counts")
    await later.fold()
    assert (await counted(house), await single(house)) == ((5, 5), 5)
    await note(house, later, 1)
    await later.fold()
    assert (await counted(house), await single(house)) == ((6, 6), 6)
    assert await house.services.db.fetch_value("SELECT count(*) FROM download_chunk") == 1  # the last: the next time


async def test_a_chunk_another_process_added_and_forgot_is_not_added_again(
    house: House, counter: DownloadCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DownloadCounter(house.services.db, tmp_path / "counts")
    await note(house, counter, 5)
    counter._spool()
    write = house.services.db.write

    async def slowly(work: Any) -> Any:
        """Let the other process do the same chunk and the next before this unit begins."""
        monkeypatch.undo()
        await other.fold()
        await note(house, other, 1)
        await other.fold()
        return await write(work)

    monkeypatch.setattr(house.services.db, "write", slowly)
    await counter.fold()
    assert await counted(house) == (6, 6)


async def test_a_new_file_does_not_inherit_the_downloads_of_a_removed_one(
    house: House, counter: DownloadCounter
) -> None:
    await note(house, counter, 5)
    await counter.fold()
    await note(house, counter, 2)
    await house.remove("pub", "one")
    await counter.fold()
    assert await house.services.db.fetch_value("SELECT count(*) FROM download") == 0
    await house.upload("pub", "two")
    listed = await house.admin.get("/api/channels/pub/artifacts/conda/two/files")
    assert [file["download_count"] for file in listed.json()["items"]] == [0]


async def test_two_processes_of_one_machine_share_the_folder(
    house: House, counter: DownloadCounter, tmp_path: Path
) -> None:
    other = DownloadCounter(house.services.db, tmp_path / "counts")
    await note(house, counter, 2)
    await note(house, other, 3)
    counter._spool()
    await other.fold()
    await counter.fold()
    assert await counted(house) == (5, 5)


async def test_counts_of_a_process_that_died_are_folded_by_the_next(
    house: House, counter: DownloadCounter, tmp_path: Path
) -> None:
    await note(house, counter, 4)
    counter._spool()
    await DownloadCounter(house.services.db, tmp_path / "counts").fold()
    assert await counted(house) == (4, 4)


async def test_a_full_disk_keeps_the_counts_in_memory(house: House, counter: DownloadCounter, tmp_path: Path) -> None:
    await note(house, counter, 2)
    shutil.rmtree(tmp_path / "counts")
    with pytest.raises(OSError, match="counts"):
        await counter.fold()
    (tmp_path / "counts").mkdir()
    await note(house, counter, 1)
    await counter.fold()
    assert await counted(house) == (3, 3)


async def test_a_chunk_torn_by_a_power_cut_stops_nothing(
    house: House, counter: DownloadCounter, tmp_path: Path
) -> None:
    for content in (b"", b"[[[1,", b"\\0\\0"):
        (tmp_path / "counts" / f"{len(content)}.chunk").write_bytes(content)
    await note(house, counter, 1)
    await counter.fold()
    assert await counted(house) == (1, 1)
    assert list((tmp_path / "counts").iterdir()) == []


@pytest.mark.parametrize("who", ["fold", "publish"])
async def test_folds_and_publishes_of_one_channel_wait_for_each_other_in_one_order(
    house: House, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    db = house.services.db
    if db.dialect == "sqlite":
        pytest.skip("SQLite runs one unit at a time")
    for name in ("one", "two"):
        await house.upload("pub", name)
    one, two = [Tally(await house.download("pub", name), 1, 0, 0) for name in ("one", "two")]
    channel_id = one.download.channel_id
    begun: list[str] = []
    second: list[asyncio.Task[None]] = []

    async def fold(unit: Unit) -> None:
        begun.append("second")
        await downloads.add(unit, [two])

    async def let_the_second_begin() -> None:
        if not second:
            second.append(asyncio.create_task(db.write(fold)))
            await asyncio.wait(second, timeout=0.5)

    async def first(unit: Unit) -> None:
        begun.append("first")
        if who == "fold":
            await downloads.add(unit, [one])
            await let_the_second_begin()
            await downloads.add(unit, [two])
        else:
            await entries.mark_dirty(unit, channel_id, [("noarch", "one"), ("noarch", "two")])
            await publish_batch(unit, channel_id)

    async def put(unit: Unit, channel_id: int, names: list[str], packages: list[dict[str, Any]]) -> None:
        await really(unit, channel_id, names, packages)
        await let_the_second_begin()

    really = summaries.put
    monkeypatch.setattr(summaries, "put", put)
    monkeypatch.setattr(publishing, "STEP", 1)
    monkeypatch.setattr(publishing, "BUDGET_SECONDS", 60)
    await db.write(first)
    await second[0]
    assert begun == ["first", "second"], "a deadlock makes one of them begin again"
    total = await db.fetch_value("SELECT sum(download_count) FROM package")
    assert total == (3 if who == "fold" else 1)


async def test_a_file_removed_meanwhile_does_not_stop_the_others(house: House, counter: DownloadCounter) -> None:
    await house.upload("pub", "two")
    await note(house, counter, 1)
    two = await house.download("pub", "two")
    await house.remove("pub", "two")
    counter.count(two)
    await counter.fold()
    assert (await counted(house))[1] == 1
