"""What one process remembers of an index: made once, never older than what was published, never growing for ever."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from packhouse.catalog import changes
from packhouse.catalog.packages import entries
from packhouse.core.db import Unit
from packhouse.workflows.indexing import documents, store, view
from packhouse.workflows.indexing.publishing import publish_batch
from tests.integration.indexing.changes import add_passive, head_of, publish
from tests.kit.channel_reader import read_subdir
from tests.kit.house import House

BASE = "/api/repo/pub/noarch"
DATA = "/api/repo/pub/channeldata.json"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often index files are really made, without changing how."""
    counts: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        real = getattr(module, name)

        def counting(*arguments: Any) -> Any:
            counts[name] += 1
            return real(*arguments)

        monkeypatch.setattr(module, name, counting)

    count(documents, "write")
    count(documents, "write_plain")
    count(documents, "small")
    return counts


@pytest.mark.parametrize(
    "name",
    ["repodata.json", "repodata_shards.msgpack.zst", "current_repodata.json.zst", "../channeldata.json"],
)
async def test_fifty_who_ask_at_once_are_served_by_one_making(house: House, made: Counter[str], name: str) -> None:
    await house.upload("pub", "one")
    target = f"{BASE}/{name}".replace("noarch/../", "")
    answers = await asyncio.gather(*(house.web.get(target) for _ in range(50)))
    assert {answer.status for answer in answers} == {200} and len({answer.body for answer in answers}) == 1
    assert made.total() == 1
    await house.caught_up()
    assert (await house.web.get(target)).body == answers[0].body and made.total() == 1
    await house.upload("pub", "two")
    await asyncio.gather(*(house.web.get(target) for _ in range(50)))
    assert made.total() == 2


async def test_channeldata_is_a_file_that_may_vanish_and_goes_when_it_is_superseded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LINGER_SECONDS", 0.0)
    folder = house.services.settings.data_dir / "cache" / "index"
    for number in range(3):
        await house.upload("pub", f"p{number}")
        assert len((await house.web.get(DATA)).json()["packages"]) == number + 1
    await asyncio.sleep(0.05)
    kept = [path for path in folder.rglob("*") if path.is_file()]
    body = (await house.web.get(DATA)).body
    assert [path.read_bytes() for path in kept] == [body]
    kept[0].unlink()
    assert (await house.web.get(DATA)).body == body


async def test_channeldata_follows_what_another_process_says_of_a_package_without_a_revision(house: House) -> None:
    await house.upload("pub", "held", info={"info/about.json": b'{"summary": "as built"}'})
    await add_passive(house, ["passive"])
    await publish(house)
    channel, number = await house.find("pub"), await head_of(house)
    assert (await house.web.get(DATA)).json()["packages"]["passive"].get("summary") is None

    async def fetched(unit: Unit) -> None:
        await unit.execute("UPDATE entry SET content_id = (SELECT min(id) FROM content) WHERE name = 'passive'")
        await entries.mark_dirty(unit, channel.id, [("noarch", "passive")])

    await house.services.db.write(fetched)
    await house.services.db.write(lambda unit: publish_batch(unit, channel.id))
    await house.caught_up()
    assert (await house.web.get(DATA)).json()["packages"]["passive"]["summary"] == "as built"
    assert await head_of(house) == number


async def test_the_plain_file_and_its_twin_are_made_together(house: House, made: Counter[str]) -> None:
    await house.upload("pub", "one")
    await asyncio.gather(*(house.web.get(f"{BASE}/repodata.json{end}") for end in ("", ".zst") * 20))
    assert made["write"] == 1


async def test_files_of_older_revisions_leave_the_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LINGER_SECONDS", 0.0)
    for number in range(5):
        await house.upload("pub", f"p{number}")
        await house.web.get(f"{BASE}/repodata.json")
        await house.web.get(f"{BASE}/current_repodata.json.zst")
    await asyncio.sleep(0.05)
    folder = house.services.settings.data_dir / "cache" / "index"
    kept = sorted(path.name.partition(".")[2] for path in folder.rglob("*") if path.is_file())
    # with nothing outdated both are the same document, hence the same two files
    assert kept == ["plain", "zst"]


async def test_the_longest_unused_files_leave_a_full_folder(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LINGER_SECONDS", 0.5)
    monkeypatch.setattr(documents, "MOST_FILE_BYTES", bound := 2000)
    folder = house.services.settings.data_dir / "cache" / "index"
    for number in range(4):
        await house.upload("pub", f"p{number}", subdir=("linux-64", "noarch", "osx-64", "win-64")[number])
    for subdir in ("linux-64", "noarch", "osx-64", "win-64", "linux-64"):
        answer = await house.web.get(f"/api/repo/pub/{subdir}/repodata.json")
        assert answer.status == 200 and len(answer.json()["packages.conda"]) == 1
    await asyncio.sleep(0.7)
    assert 0 < sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= bound


async def test_subdirs_that_never_were_are_not_remembered(house: House) -> None:
    await house.upload("pub", "one")
    channel, views = await house.find("pub"), view.Views(house.services.db)
    for partition in ("noarch", "linux-64", "osx-64"):
        await views.partition(channel.id, await head_of(house), partition)
    assert set(views._views[channel.id].partitions) == {"noarch"}
    await house.upload("pub", "two", subdir="linux-64")
    shown = await views.partition(channel.id, await head_of(house), "linux-64")
    assert shown is not None and set(shown.shards) == {"two"}


async def test_a_view_that_grew_drops_those_longest_unused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOST_NAMES", 2)
    await house.channel("other")
    await house.upload("other", "one")
    await house.upload("pub", "one")
    old, grown, views = await house.find("other"), await house.find("pub"), view.Views(house.services.db)
    await views.partition(old.id, 1, "noarch")
    await views.partition(grown.id, 1, "noarch")
    assert set(views._views) == {old.id, grown.id}
    await house.upload("pub", "two")
    await views.partition(grown.id, 2, "noarch")
    assert set(views._views) == {grown.id}


async def test_a_process_that_looks_seldom_sees_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOST_REVISIONS", 3)
    await read_subdir(house.web, "pub", "noarch")
    for count in (1, 2, 7, 1):  # some of it brought forward, some loaded anew
        for number in range(count):
            await house.upload("pub", f"p{count}-{number}")
        shown = await read_subdir(house.web, "pub", "noarch")
        assert shown.shards == shown.monolithic
    await house.remove("pub", "p7-3")
    shown = await read_subdir(house.web, "pub", "noarch")
    assert "p7-3-1.0-0.conda" not in shown.shards and len(shown.shards) == len(shown.monolithic) == 9


async def test_a_subdir_appears_when_its_first_file_does_and_goes_with_its_last(house: House) -> None:
    target = "/api/repo/pub/linux-64/repodata.json"
    assert (await house.web.get(target)).status == 404
    await house.upload("pub", "one", subdir="linux-64")
    assert (await house.web.get(target)).status == 200
    await house.remove("pub", "one")
    assert (await house.web.get(target)).status == 404
    assert (await house.web.get("/api/repo/pub/linux-64/repodata_shards.msgpack.zst")).status == 404


async def test_what_is_published_while_an_index_is_loaded_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_passive(house, ["first"])
    await publish(house)
    asked, go_on = held_back(monkeypatch, "shards_at")
    slow = asyncio.create_task(house.web.get(f"{BASE}/repodata_shards.msgpack.zst"))
    await asyncio.wait_for(asked.wait(), 60)
    await add_passive(house, ["second"])
    await publish(house)
    quick = asyncio.create_task(house.web.get(f"{BASE}/repodata_shards.msgpack.zst"))
    await asyncio.sleep(0.02)
    go_on.set()
    assert (await slow).status == (await quick).status == 200
    shown = await read_subdir(house.web, "pub", "noarch")
    assert set(shown.shards) == {"first-1-0.conda", "second-1-0.conda"}
    assert (await quick).body == (await house.web.get(f"{BASE}/repodata_shards.msgpack.zst")).body


async def test_what_is_published_while_the_head_is_asked_for_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = held_back(monkeypatch, "head_of")
    slow = asyncio.create_task(house.web.get(f"{BASE}/repodata.json"))
    await asyncio.wait_for(asked.wait(), 60)
    await add_passive(house, ["first"])
    await publish(house)
    go_on.set()
    await slow
    assert set((await house.web.get(f"{BASE}/repodata.json")).json()["packages.conda"]) == {"first-1-0.conda"}


def held_back(monkeypatch: pytest.MonkeyPatch, name: str) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the first answer of a query arrive late: return (it was asked, let it arrive)."""
    real: Callable[..., Awaitable[Any]] = getattr(store, name)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def late(*arguments: Any) -> Any:
        answer = await real(*arguments)
        if not asked.is_set():
            asked.set()
            await go_on.wait()
        return answer

    monkeypatch.setattr(store, name, late)
    return asked, go_on


async def test_run_exports_answer_while_their_channel_goes_on_changing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.upload("pub", "held")
    channel = await house.find("pub")
    real = store.facts_of_partition

    async def overtaken(*arguments: Any) -> Any:
        facts = await real(*arguments)
        await house.services.db.write(lambda unit: changes.note(unit, "entry", channel.id, "held"))
        await house.caught_up()
        return facts

    monkeypatch.setattr(store, "facts_of_partition", overtaken)
    answer = await asyncio.wait_for(house.web.get(f"{BASE}/run_exports.json"), 60)
    assert set(answer.json()["packages.conda"]) == {"held-1.0-0.conda"}


async def test_run_exports_follow_what_was_fetched(house: House) -> None:
    """A passive file becomes active: no record changes, hence no revision, but now its run_exports are known."""
    await house.upload("pub", "held")
    await add_passive(house, ["passive"])
    await publish(house)
    target = f"{BASE}/run_exports.json"
    assert set((await house.web.get(target)).json()["packages.conda"]) == {"held-1.0-0.conda"}
    channel = await house.find("pub")

    async def fetched(unit: Unit) -> None:
        await unit.execute("UPDATE entry SET content_id = (SELECT min(id) FROM content) WHERE name = 'passive'")
        await changes.note(unit, "entry", channel.id, "passive")

    await house.services.db.write(fetched)
    await house.caught_up()
    assert set((await house.web.get(target)).json()["packages.conda"]) == {"held-1.0-0.conda", "passive-1-0.conda"}


async def test_who_asks_in_the_moment_a_document_is_done_gets_a_newer_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In that moment it is still known as one being made, and waiting for it lets nobody else run."""
    await house.upload("pub", "held")
    channel, reader = await house.find("pub"), house.services.index
    wanted = ("conda", channel.id, "noarch", "run_exports.json")
    keep = documents.Documents.keep
    asking: list[asyncio.Task[documents.Document | None]] = []

    def last_act(self: documents.Documents, key: documents.Key, document: documents.Document) -> None:
        keep(self, key, document)
        if key[2] == "run_exports.json" and not asking:
            reader._changed(changes.Change(0, "entry", channel.id, "held"))
            asking.append(asyncio.create_task(reader.document(*wanted)))

    def stuck(*_: object) -> None:
        raise AssertionError("a process waits for ever for what is done")

    monkeypatch.setattr(documents.Documents, "keep", last_act)
    before = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(20)
    try:
        older = await reader.document(*wanted)
        newer = await asking[0]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert older and newer and newer.stamp > older.stamp
