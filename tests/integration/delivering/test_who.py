"""Who downloaded which file since when: exact, and still known when file, channel and account are gone."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import NOBODY, Downloaded
from packhouse.core.clock import DAY, wall_micros
from packhouse.core.db import Database, Unit
from packhouse.workflows.channels.deleting import delete_channel
from packhouse.workflows.delivering import counting
from packhouse.workflows.delivering.counting import DownloadCounter
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from tests.kit import staffing
from tests.kit.house import House, basic

FILE = "/api/repo/pub/noarch/one-1.0-0.conda"
PEOPLE = ("ann", "bob", "eve")

#: {user name, None for callers without a credential: number of downloads}
Counts = dict[str | None, int]


async def ids(house: House, name: str = "one") -> tuple[int, int]:
    """Return the ids of a package's content and record."""
    row = await house.services.db.fetch_one("SELECT content_id, record_id FROM entry WHERE name = :name", name=name)
    assert row is not None
    return row[0], row[1]


def counts(found: list[Downloaded]) -> Counts:
    """Return how often each downloaded anything of what was found."""
    summed: Counts = {}
    for one in found:
        assert (one.username is None) == (one.account_id == NOBODY)
        summed[one.username] = summed.get(one.username, 0) + one.count
    return summed


async def forget_everything(house: House) -> None:
    """Do what sweeps do when nothing is shown any more."""

    async def work(unit: Unit) -> None:
        for table in ("record_body", "record", "content"):
            await unit.execute(f"DELETE FROM {table}")

    await house.services.db.write(work)


async def agree(db: Database) -> bool:
    """Tell whether history and counts say the same of every file that is still there."""
    differing = """SELECT count(*) FROM download WHERE count <> (SELECT sum(download_by.count) FROM download_by
     JOIN downloaded ON downloaded.id = file_id WHERE downloaded.entry_id = download.entry_id)"""
    return bool(await db.fetch_value(differing) == 0)


async def test_each_download_is_told_of_the_one_who_made_it(house: House) -> None:
    await house.upload("pub", "one")
    wanted: Counts = {None: 13, "ann": 7, "bob": 11, "eve": 5}
    for name in PEOPLE:
        await house.person(name)
    begun = await house.services.db.now()
    clients = [house.as_(name) if name else house.web for name, times in wanted.items() for _ in range(times)]
    random.Random(1).shuffle(clients)
    answers = await asyncio.gather(*(client.get(FILE) for client in clients))
    assert {answer.status for answer in answers} == {200}
    await house.server._counter.fold()
    content, record = await ids(house)
    found = await downloads.who(house.services.db, begun, contents=[content], records=[record])
    assert counts(found) == wanted and len(found) == 4
    ended = await house.services.db.now()
    assert all(begun <= one.first_at <= one.last_at <= ended for one in found)
    assert {(one.channel, one.family, one.partition, one.filename, one.name, one.version) for one in found} == {
        ("pub", "conda", "noarch", "one-1.0-0.conda", "one", "1.0")
    }
    assert await downloads.who(house.services.db, ended, contents=[content]) == []
    assert await agree(house.services.db)


async def test_every_way_to_show_who_one_is_counts_for_the_same_person(house: House) -> None:
    await house.upload("pub", "one")
    ann = await house.person("ann", password="a long enough password")
    for _ in range(2):  # once afresh, once from memory
        await house.web.get(FILE, x_auth=ann.token)
        await house.web.get(FILE, authorization=f"Bearer {ann.token}")
        await house.web.get(FILE, authorization=basic("ann", "a long enough password"))
        await house.web.get(f"/t/{ann.token}{FILE}")
        await house.web.get(FILE)
        await house.admin.get(FILE)
    await house.server._counter.fold()
    content, _ = await ids(house)
    found = await downloads.who(house.services.db, contents=[content])
    assert counts(found) == {"ann": 8, "admin": 2, None: 2}


async def test_what_somebody_downloaded_between_two_times(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        await house.upload("pub", name)
    ann = (await house.person("ann")).principal.account_id or 0
    bob = (await house.person("bob")).principal.account_id or 0
    now = await house.services.db.now()
    for days, name, account in ((40, "one", ann), (3, "one", ann), (3, "two", ann), (3, "one", bob), (0, "one", ann)):
        monkeypatch.setattr(counting, "wall_micros", lambda at=now - days * DAY: at)
        house.server._counter.count(await house.download("pub", name, account))
        house.server._counter._spool()
    monkeypatch.setattr(counting, "wall_micros", lambda: now)
    await house.server._counter.fold()
    db = house.services.db

    async def asked(account: int, since: int, before: int) -> list[str]:
        return sorted(one.name for one in await downloads.what(db, account, now - since * DAY, now - before * DAY))

    assert await asked(ann, 50, -1) == ["one", "one", "one", "two"]
    assert await asked(ann, 4, 2) == ["one", "two"]
    assert await asked(ann, 2, -1) == ["one"]
    assert await asked(bob, 50, -1) == ["one"]
    assert await asked(bob, 2, -1) == await asked(NOBODY, 50, -1) == []
    content, _ = await ids(house)
    assert counts(await downloads.who(db, contents=[content])) == {"ann": 3, "bob": 1}
    assert counts(await downloads.who(db, now - 10 * DAY, contents=[content])) == {"ann": 2, "bob": 1}
    assert counts(await downloads.who(db, now - 2 * DAY, contents=[content])) == {"ann": 1}


async def test_what_was_downloaded_is_known_after_file_channel_and_account_are_gone(house: House) -> None:
    await house.upload("pub", "one")
    await house.person("ann")
    await house.channel("other")
    content, record = await ids(house)
    await house.as_("ann").get(FILE)
    await house.server._counter.fold()
    await house.as_("ann").get(FILE)  # not folded before the file is gone
    db = house.services.db
    await copy(house.services, await house.find("pub"), await house.find("other"), "admin", [Item("one")])
    await house.remove("pub", "one")
    await house.server._counter.fold()
    found = await downloads.who(db, contents=[content], records=[record])
    assert counts(found) == {"ann": 2}
    await staffing.delete_user(db, "ann", "admin")
    await delete_channel(house.services, await house.find("pub"), "admin")
    assert await downloads.who(db, contents=[content]) == found
    await house.remove("other", "one")
    await forget_everything(house)
    assert await downloads.who(db, contents=[content], records=[record]) == []
    assert await downloads.who_version(db, "conda", "one", "1.0") == found
    assert await downloads.who_version(db, "conda", "one", "2.0") == []


async def test_other_bytes_that_get_the_number_of_removed_ones_get_no_history(house: House) -> None:
    await house.upload("pub", "one")
    await house.web.get(FILE)
    await house.server._counter.fold()
    content, record = await ids(house)
    await house.remove("pub", "one")
    await forget_everything(house)
    await house.upload("pub", "two")
    if house.services.db.dialect == "sqlite":
        assert await ids(house, "two") == (content, record), "SQLite gives numbers again"
    content, record = await ids(house, "two")
    assert await downloads.who(house.services.db, contents=[content], records=[record]) == []


async def test_a_record_in_the_place_of_another_knows_who_downloaded_the_file_before(house: House) -> None:
    await house.upload("pub", "one")
    await house.web.get(FILE)
    await house.server._counter.fold()
    await house.upload("pub", "two")
    _, other = await ids(house, "two")
    await house.services.db.write(
        lambda unit: unit.execute("UPDATE entry SET record_id = :other WHERE name = 'one'", other=other)
    )
    assert counts(await downloads.who(house.services.db, records=[other])) == {None: 1}


@pytest.mark.parametrize("seed", range(4))
async def test_however_chunks_are_split_repeated_and_taken_over_each_download_is_told_once(
    house: House, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "ROWS", 3)
    dice = random.Random(seed)
    folder = tmp_path / "counts"
    names = ("one", "two")
    people = [NOBODY, *[(await house.person(name)).principal.account_id or 0 for name in PEOPLE]]
    for name in names:
        await house.upload("pub", name)
    kinds = [await house.download("pub", name, who) for name in names for who in people]
    counters = [DownloadCounter(house.services.db, folder) for _ in range(2)]
    wanted: Counts = {}
    for _ in range(40):
        counter, act = dice.choice(counters), dice.random()
        if act < 0.6:
            one = dice.choice(kinds)
            wanted[str(one.account_id)] = wanted.get(str(one.account_id), 0) + 1
            counter.count(one)
        elif act < 0.8:
            counter._spool()
        else:
            counter._spool()
            kept = {chunk: chunk.read_bytes() for chunk in folder.glob("*.chunk")}
            await counter.fold()
            last = sorted(kept)[-1:]
            for chunk in last:  # as if it had died between the commit and the removal of the file
                chunk.write_bytes(kept[chunk])
            if last:
                counters[counters.index(counter)] = DownloadCounter(house.services.db, folder)
    for counter in counters:
        await counter.fold()
    told = await house.services.db.fetch_all("SELECT account_id, sum(count) FROM download_by GROUP BY account_id")
    assert {str(account): int(count) for account, count in told} == wanted
    assert await agree(house.services.db)


async def test_a_machine_whose_clock_is_wrong_tells_the_time_of_the_database(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.upload("pub", "one")
    begun = await house.services.db.now()
    monkeypatch.setattr(counting, "wall_micros", lambda: wall_micros() - 3 * DAY)
    counter = DownloadCounter(house.services.db, tmp_path / "counts")
    counter.count(await house.download("pub", "one"))
    await counter.fold()
    content, _ = await ids(house)
    [found] = await downloads.who(house.services.db, begun, contents=[content])
    assert begun <= found.first_at <= await house.services.db.now()
