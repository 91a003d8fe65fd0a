"""Each download is a row: who, which file, with what known of it, from where, by which client and token; once."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packhouse.app import _duties
from packhouse.catalog.downloads import dictionaries
from packhouse.catalog.downloads.items import Item, Wanted, day_of
from packhouse.catalog.downloads.store import open_items
from packhouse.core.clock import DAY, from_iso, to_iso
from packhouse.core.db import open_beside
from packhouse.core.errors import PackhouseError
from packhouse.workflows.delivering import counting
from packhouse.workflows.delivering.counting import DownloadCounter
from packhouse.workflows.maintaining.verify import verify
from packhouse.workflows.reporting.retention import AHEAD
from tests.kit.calls import read
from tests.kit.house import House
from tests.kit.known import found_in

FILE = "/api/repo/pub/noarch/one-1.0-0.conda"
CONDA = "conda/26.9.0 requests/2.32.5 CPython/3.13.1"
MONTHS = (from_iso("2026-01-31T23:59:59"), from_iso("2026-02-01T00:00:01"))


async def kept(house: House, since: int = 0, before: int = 2**52, **wanted: Any) -> list[Item]:
    """Return what is kept, in the order of time."""
    items = open_items(house.services.db)
    found = [item async for batch in items.read(Wanted(since, before, **wanted)) for item in batch]
    await items.close()
    return found


async def test_who_from_where_by_which_client_and_token_with_what_was_known_then(house: House) -> None:
    await house.upload("pub", "one")
    ann = await house.person("ann")
    begun = await house.services.db.now()
    await house.as_("ann").get(FILE, user_agent=f"{CONDA} aau/0.7.2 c/AxQ s/9fT e/Zp3 a/Acc o/Org o/Two m/Mac")
    await house.server._counter.fold()
    await found_in(house, "CVE-2026-0002")
    await found_in(house, "CVE-2026-0001")
    await house.web.get(FILE, user_agent=CONDA)
    await house.server._counter.fold()
    first, second = await kept(house, begun, await house.services.db.now())
    assert begun <= first.at <= second.at
    assert (first.account_id, first.token) == (ann.principal.account_id, ann.token_id)
    assert (second.account_id, second.token) == (0, None)
    assert first.address == second.address == "127.0.0.1"
    agents = await dictionaries.agents(house.services.db, {first.agent_id, second.agent_id})
    assert agents[second.agent_id] == (CONDA, {})
    assert agents[first.agent_id][1] == {
        "client": "AxQ",
        "session": "9fT",
        "environment": "Zp3",
        "account": "Acc",
        "organization": "Org Two",
        "machine": "Mac",
    }
    assert first.cve_set_id is None and second.cve_set_id is not None
    sets = await dictionaries.sets(house.services.db, {second.cve_set_id})
    assert sets == {second.cve_set_id: ["CVE-2026-0001", "CVE-2026-0002"]}
    file = await house.services.db.fetch_one("SELECT id, channel_id FROM downloaded")
    assert file == first[1:3] == second[1:3]


async def test_those_of_some_people_and_channels_between_two_times(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.channel("other")
    for channel in ("pub", "other"):
        await house.upload(channel, "one")
    who = [await house.download(channel, "one", account) for channel in ("pub", "other") for account in (0, 1)]
    pub, other = who[0].channel_id, who[2].channel_id
    for number, download in enumerate(who):
        with monkeypatch.context() as patch:
            patch.setattr(counting, "wall_micros", lambda at=MONTHS[number % 2] + number: at)
            house.server._counter.count(download)
    await house.server._counter.fold()
    assert len(await kept(house)) == 4
    assert [item.account_id for item in await kept(house)] == [0, 0, 1, 1]
    assert len(await kept(house, before=MONTHS[1])) == len(await kept(house, since=MONTHS[1])) == 2
    assert [item.channel_id for item in await kept(house, accounts=[1])] == [pub, other]
    assert [item.account_id for item in await kept(house, channels=[pub])] == [0, 1]
    assert len(await kept(house, accounts=[0, 1], channels=[other], since=MONTHS[1])) == 1
    assert await kept(house, accounts=[]) == await kept(house, channels=[]) == []


async def test_what_was_killed_between_the_counts_and_the_rows_is_made_good_once(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.upload("pub", "one")
    one = await house.download("pub", "one")
    dying = DownloadCounter(house.services.db, tmp_path / "counts")
    items = dying._items

    async def die(*_: object) -> None:
        raise PackhouseError("try_later", "killed")

    for moment in ("add_after", "forget_chunks"):
        for _ in range(3):
            dying.count(one)
        with monkeypatch.context() as patch:
            patch.setattr(items, moment, die)
            with pytest.raises(PackhouseError):
                await dying.fold()
        await asyncio.gather(*(DownloadCounter(house.services.db, tmp_path / "counts").fold() for _ in range(2)))
    assert len(await kept(house)) == 6
    assert await house.services.db.fetch_value("SELECT count FROM download") == 6
    assert list((tmp_path / "counts").iterdir()) == []


async def test_a_chunk_whose_file_was_left_behind_gives_its_rows_once(house: House, tmp_path: Path) -> None:
    await house.upload("pub", "one")
    counter = DownloadCounter(house.services.db, tmp_path / "counts")
    counter.count(await house.download("pub", "one"), "192.0.2.1", b"curl/8")
    counter._spool()
    [chunk] = (tmp_path / "counts").glob("*.chunk")
    data = chunk.read_bytes()
    for _ in range(3):
        await DownloadCounter(house.services.db, tmp_path / "counts").fold()
        chunk.write_bytes(data)
    [item] = await kept(house)
    assert item.address == "192.0.2.1"


async def test_many_different_files_and_many_downloads_are_divided_into_chunks(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "ROWS", 2)
    monkeypatch.setattr(counting, "SINGLE_ROWS", 5)
    await house.upload("pub", "one")
    counter = DownloadCounter(house.services.db, tmp_path / "counts")
    kinds = [await house.download("pub", "one", account) for account in range(4)]
    for number in range(30):
        counter.count(kinds[number % 4 if number < 12 else 0])
    counter._spool()
    assert len(list((tmp_path / "counts").glob("*.chunk"))) == 6 + 4
    await counter.fold()
    assert len(await kept(house)) == 30
    assert await house.services.db.fetch_value("SELECT count FROM download") == 30


async def test_the_files_of_months_are_their_owner_s_only(house: House) -> None:
    if house.services.db.dialect != "sqlite":
        pytest.skip("PostgreSQL has partitions instead")
    await house.upload("pub", "one")
    await house.web.get(FILE)
    await house.server._counter.fold()
    month = f"{day_of(await house.services.db.now() // DAY):%Y-%m}"
    folder = house.services.settings.data_dir / "packhouse-downloads"
    assert {path.name for path in folder.iterdir()} >= {f"{month}.db", f"{month}.db-wal"}
    rights: Callable[[Path], int] = lambda path: stat.S_IMODE(path.stat().st_mode)  # noqa: E731  # used twice
    assert rights(folder) == 0o700 and rights(folder / f"{month}.db") == 0o600


async def test_what_is_older_than_it_is_to_be_kept_is_dropped(house: House) -> None:
    db = house.services.db
    today = await db.now() // DAY
    days = house.services.settings.download_days
    await house.upload("pub", "one")
    counter = house.server._counter
    for age in (days + 40, days - 1, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counting, "wall_micros", lambda at=(today - age) * DAY: at)
            counter.count(await house.download("pub", "one"), agent=b"agent %d" % age)
        await counter.fold()
    [old] = [
        agent for (agent,) in await db.fetch_all("SELECT id FROM agent WHERE agent LIKE :name", name=f"%{days + 40}")
    ]
    await db.write(
        lambda unit: unit.execute("UPDATE agent SET last_day = :day WHERE id = :old", day=today - days - 40, old=old)
    )
    [keeping] = [duty for duty in await _duties(house.services) if duty.name == "single downloads"]
    for _ in range(2):
        await keeping.function()
    assert [item.at // DAY - today for item in await kept(house)] == [1 - days, 0]
    assert await db.fetch_value("SELECT count(*) FROM agent") == 2
    assert await db.fetch_value("SELECT count FROM download") == 3, "counts stay"
    events = await read(house.admin, "/api/events?type=downloads_dropped")
    assert events["total_count"] == 1 and events["items"][0]["data"]["count"] == 1
    assert [finding async for finding in verify(house.services, deep=True) if finding.invariant == "I10"] == []
    if db.dialect == "postgresql":
        known = await db.fetch_all("SELECT relname FROM pg_class WHERE relname LIKE 'download_item_2%'")
        assert len(known) == 2 + AHEAD


async def test_a_file_that_another_process_is_about_to_make_is_like_none(house: House) -> None:
    if house.services.db.dialect != "sqlite":
        pytest.skip("PostgreSQL shows no table before it is whole")
    month = (to_iso(await house.services.db.now()) or "")[:7]
    made = open_beside(house.services.settings.data_dir / "packhouse-downloads" / f"{month}.db")
    await made.write(lambda unit: unit.fetch_value("SELECT 1"))
    assert await kept(house) == []
    assert [finding async for finding in verify(house.services, deep=True) if finding.invariant == "I10"] == []
    await made.close()


async def test_a_file_that_cannot_be_read_is_found(house: House) -> None:
    if house.services.db.dialect != "sqlite":
        pytest.skip("PostgreSQL looks after its own files")
    folder = house.services.settings.data_dir / "packhouse-downloads"
    folder.mkdir(mode=0o700)
    (folder / "2026-01.db").write_bytes(b"no database" * 1000)
    found = [str(one) async for one in verify(house.services) if one.invariant == "I10"]
    assert len(found) == 1 and found[0].startswith("I10 downloads 2026-01.db: it cannot be read")
