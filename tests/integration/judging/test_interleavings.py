"""Judgement meets what goes on beside it: arrivals, faults, fetches, feeds under way, and files that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.vulnerabilities import advisories, unjudged
from packhouse.catalog.vulnerabilities.advisories import Staged
from packhouse.catalog.vulnerabilities.findings import Found
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.workflows import setbacks
from packhouse.workflows.delivering.counting import DownloadCounter
from packhouse.workflows.judging import arriving, learning, naming, rejudging, verdicts, whole
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.publishing.moving import remove
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.calls import read
from tests.kit.feeding import add_feed, osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

PYTHON = ["python >=3.8"]
LIB = "lib-1.0-0.conda"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with a public channel `pub`."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        yield opened


async def test_a_file_that_arrives_while_its_package_is_judged_again_is_refused_like_the_others(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if house.services.db.dialect == "sqlite":
        pytest.skip("one unit at a time: nothing arrives meanwhile")
    await house.channel("other")
    await govern(house, "other", cve_score=7)
    await house.upload("pub", "lib", "1.5", depends=PYTHON)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    look_up, arrived = learning.look_up, False

    async def slow(
        reader: Reader,
        family: str,
        versions: Mapping[str, Collection[str]],
        origins: learning.Origins = learning.NOTHING_OFFERED,
    ) -> list[Found]:
        nonlocal arrived
        if "lib" in versions and not arrived:
            arrived = True
            await house.upload("other", "lib", "1.0", depends=PYTHON)
        return await look_up(reader, family, versions, origins)

    monkeypatch.setattr(learning, "look_up", slow)
    await house.services.db.write(lambda unit: unjudged.add(unit, [("conda", "lib")]))
    await judged(house)
    assert arrived
    assert (await status_of(house, "other", LIB), await listed(house, "other")) == (403, set())


async def test_a_package_that_cannot_be_judged_keeps_no_other_waiting_and_is_tried_again(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, tries = 1000.0, 0
    monkeypatch.setattr(setbacks, "monotonic", lambda: now)
    for name in ("bad", "good"):
        await house.upload("pub", name, depends=PYTHON)
    await govern(house, "pub", cve_score=7)
    await advise(house.services, tmp_path, osv(1, "bad"), osv(2, "good"))
    learn_anew = learning.learn_anew

    async def fails(unit: Unit, family: str, names: Collection[str]) -> list[Found]:
        nonlocal tries
        if "bad" in names:
            tries += len(names) == 1
            raise ValueError("a fault of ours")
        return await learn_anew(unit, family, names)

    with monkeypatch.context() as patch:
        patch.setattr(rejudging, "learn_anew", fails)
        await judged(house)
        assert await listed(house, "pub") == {"bad-1.0-0.conda"}
        await govern(house, "pub", cve_score=7, exclude_package_name=["bad"])
        assert await listed(house, "pub") == set(), "policies come into force, too"
        assert tries == 1, "however many rounds there were"
        for seconds, expected in ((1, 2), (1, 2), (1, 3), (3, 3), (1, 4), *((300, 5 + more) for more in range(8))):
            now += seconds
            await judged(house)
            assert tries == expected, "later and later"
    await judged(house)
    assert await unjudged.last(house.services.db) > 0, "which is still to be done"
    now += 300
    await judged(house)
    assert await unjudged.last(house.services.db) == 0
    await govern(house, "pub", cve_score=7)
    assert await listed(house, "pub") == set(), "the advisory about it was not forgotten"


async def test_what_waits_many_times_is_judged_once_and_again_if_it_changes_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feed's run leaves a name as often as it has something to say of it, far apart from each other."""
    services = house.services
    for name in ("lib", "more"):
        await house.upload("pub", name)
    for name in ("lib", "more", "lib", "lib"):
        await services.db.write(partial(unjudged.add, names=[("conda", name)]))
    learn_anew = learning.learn_anew
    judged_names: list[str] = []

    async def counted(unit: Unit, family: str, names: Collection[str]) -> list[Found]:
        if "lib" in names and "lib" not in judged_names:
            await unjudged.add(unit, [("conda", "lib")])
        judged_names.extend(names)
        return await learn_anew(unit, family, names)

    monkeypatch.setattr(rejudging, "AT_A_TIME", 1)
    monkeypatch.setattr(rejudging, "learn_anew", counted)
    assert await rejudging.judge_waiting(services) == 2
    assert judged_names == ["lib", "more"]
    assert await unjudged.last(services.db) > 0, "what changed after it was read still waits"
    await rejudging.judge_waiting(services)
    assert judged_names == ["lib", "more", "lib"]
    assert await unjudged.last(services.db) == 0


async def test_closures_are_worked_out_once_however_many_files_arrive(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.upload("pub", "base")
    await govern(house, "pub", whole_closure=True)
    for number in range(4):
        await house.upload("pub", f"p{number}")
    judge_whole = whole.judge_whole
    calls: list[tuple[int, str]] = []

    async def counted(db: Database, channel_id: int, family: str) -> set[int]:
        calls.append((channel_id, family))
        return await judge_whole(db, channel_id, family)

    monkeypatch.setattr(rejudging, "judge_whole", counted)
    await judged(house)
    assert calls == [((await house.find("pub")).id, "conda")]


async def test_a_dependency_of_what_is_permitted_stays_seen_when_it_is_fetched(house: House) -> None:
    source = CondaSource()
    source.add("dep")
    source.add("app", depends=["dep"])
    both = {"dep-1.0-0.conda", "app-1.0-0.conda"}
    async with Upstream(source.files()) as up:
        mirror = await add_mirror(house.services, await house.find("pub"), up.url, mode="passive")
        await run_and_wait(house.services, mirror)
        await govern(house, "pub", package_name=["app"], include_dependencies=True)
        assert await listed(house, "pub") == both
        assert await status_of(house, "pub", "dep-1.0-0.conda") == 200, "while it is fetched"
        await house.caught_up()
        assert await status_of(house, "pub", "dep-1.0-0.conda") == 200, "once it lies here, not judged again yet"
        await house.services.publisher.publish_waiting()
        await house.caught_up()
        assert await listed(house, "pub") == both
        await judged(house)
        assert (await status_of(house, "pub", "dep-1.0-0.conda"), await listed(house, "pub")) == (200, both)


async def test_what_a_build_tells_of_its_origin_counts_for_builds_of_the_version_that_were_there(
    house: House, tmp_path: Path
) -> None:
    await advise(house.services, tmp_path, osv(1, "realname"))
    await govern(house, "pub", cve_score=7)
    await house.upload("pub", "lib", build="0")
    await judged(house)
    assert await status_of(house, "pub", LIB) == 200
    await house.upload("pub", "lib", build="1", purls=["pkg:pypi/realname"])
    await judged(house)
    assert [await status_of(house, "pub", f"lib-1.0-{build}.conda") for build in "01"] == [403, 403]
    assert await listed(house, "pub") == set()


async def test_files_that_arrive_at_once_are_judged_by_what_one_of_them_tells_of_its_origin(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if house.services.db.dialect == "sqlite":
        pytest.skip("one unit at a time: nothing arrives meanwhile")
    await advise(house.services, tmp_path, osv(1, "realname"))
    await govern(house, "pub", cve_score=7)
    keep_names, arrived = naming.keep_names, False

    async def slow(unit: Unit, family: str, rows: Sequence[FileRow]) -> None:
        nonlocal arrived
        await keep_names(unit, family, rows)
        if not arrived:
            arrived = True
            await house.upload("pub", "lib")

    monkeypatch.setattr(arriving, "keep_names", slow)
    await house.upload("pub", "lib", "1.5", purls=["pkg:pypi/realname"])
    await judged(house)
    assert arrived
    assert [await status_of(house, "pub", f"lib-{version}-0.conda") for version in ("1.0", "1.5")] == [403, 403]


async def test_what_the_bytes_of_a_file_tell_counts_for_it_where_nobody_fetched_them(
    house: House, tmp_path: Path
) -> None:
    await advise(house.services, tmp_path, osv(1, "realname"))
    await house.channel("other")
    source = CondaSource()
    metadata = b"Metadata-Version: 2.1\nName: realname\nVersion: 1.0\n"
    source.add("lib", files={"site-packages/realname-1.0.dist-info/METADATA": metadata})
    async with Upstream(source.files()) as up:
        for path in ("pub", "other"):
            mirror = await add_mirror(house.services, await house.find(path), up.url, mode="passive")
            await run_and_wait(house.services, mirror)
            await govern(house, path, cve_score=7)
        assert await listed(house, "other") == {LIB}
        assert await status_of(house, "pub", LIB) == 403, "once it is fetched"
        await judged(house)
        assert await listed(house, "other") == set(), "before anybody asks for it there"
        assert await status_of(house, "other", LIB) == 403


async def test_what_an_arrival_tells_of_its_origin_counts_for_what_was_downloaded_and_is_gone(
    house: House, tmp_path: Path
) -> None:
    await advise(house.services, tmp_path, osv(1, "realname"))
    await judged(house)
    await house.upload("pub", "lib")
    assert await status_of(house, "pub", LIB) == 200
    await house.server._counter.fold()
    await house.remove("pub", "lib")
    await forget_everything(house)
    await house.upload("pub", "lib", "3.0", purls=["pkg:pypi/realname"])
    await judged(house)
    assert await house.services.db.fetch_all("SELECT name, version FROM finding") == [("lib", "1.0")]


async def test_an_ecosystem_is_not_covered_by_what_a_run_only_prepares(house: House, tmp_path: Path) -> None:
    await house.upload("pub", "lib", depends=PYTHON)
    await govern(house, "pub", unknown_vulnerabilities="hide")
    assert await status_of(house, "pub", LIB) == 403
    feed = await add_feed(house.services, (tmp_path / "later.jsonl").as_uri(), "later")
    prepared = Staged("X-1", b"digest", b"body", {("PyPI", "another")}, ("CVE-2024-0001",))
    await house.services.db.write(lambda unit: advisories.stage(unit, feed.id, feed.run + 1, [prepared]))
    await judged(house)
    assert (await status_of(house, "pub", LIB), await listed(house, "pub")) == (403, set())
    await advise(house.services, tmp_path, osv(1, "another"))
    await judged(house)
    assert (await status_of(house, "pub", LIB), await listed(house, "pub")) == (200, {LIB})


async def test_what_was_downloaded_and_is_gone_is_found_by_a_later_advisory(house: House, tmp_path: Path) -> None:
    await house.upload("pub", "lib", depends=PYTHON)
    assert await status_of(house, "pub", LIB) == 200
    await house.server._counter.fold()
    await house.remove("pub", "lib")
    await forget_everything(house)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    assert await house.services.db.fetch_all("SELECT name, version FROM finding") == [("lib", "1.0")]


async def test_what_was_downloaded_is_found_though_it_is_counted_after_it_is_gone(house: House, tmp_path: Path) -> None:
    counter = DownloadCounter(house.services.db, tmp_path / "counts")
    await house.upload("pub", "lib", depends=PYTHON)
    counter.count(await house.download("pub", "lib"))
    await house.remove("pub", "lib")
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)  # nobody is known to have it
    await counter.fold()
    await judged(house)
    told = await read(house.admin, "/api/cves/CVE-2024-0001/downloads")
    assert [(one["name"], one["version"]) for one in told["items"]] == [("lib", "1.0")]


async def test_what_was_downloaded_is_judged_again_if_it_is_being_removed_while_it_is_counted(
    house: House, tmp_path: Path
) -> None:
    if house.services.db.dialect == "sqlite":
        pytest.skip("one unit at a time: nothing is removed meanwhile")
    counter = DownloadCounter(house.services.db, tmp_path / "counts")
    await house.upload("pub", "lib", depends=PYTHON)
    await judged(house)
    counter.count(await house.download("pub", "lib"))
    begun, counted = asyncio.Event(), asyncio.Event()

    async def removes(unit: Unit) -> None:
        await unit.execute("DELETE FROM entry WHERE name = 'lib'")
        begun.set()
        await counted.wait()

    removing = asyncio.create_task(house.services.db.write(removes))
    async with asyncio.timeout(60):
        await begun.wait()
        await counter.fold()  # which waits for nobody
        counted.set()
        await removing
    rows = await house.services.db.fetch_all("SELECT family, name FROM unjudged")
    assert [(row[0], row[1]) for row in rows] == [("conda", "lib")]


async def test_a_download_of_what_is_still_there_lets_nothing_be_judged_again(house: House, tmp_path: Path) -> None:
    counter = DownloadCounter(house.services.db, tmp_path / "counts")
    await house.upload("pub", "lib", depends=PYTHON)
    await judged(house)
    counter.count(await house.download("pub", "lib"))
    await counter.fold()
    assert await house.services.db.fetch_value("SELECT count(*) FROM unjudged") == 0


async def test_a_version_that_comes_back_while_what_was_found_in_it_is_forgotten_stays_known(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if house.services.db.dialect == "sqlite":
        pytest.skip("one unit at a time: nothing arrives meanwhile")
    await govern(house, "pub", cve_score=7)
    for version in ("1.0", "1.5"):
        await house.upload("pub", "lib", version, depends=PYTHON)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    await remove(house.services, await house.find("pub"), "ann", [Item("lib", ckey=f"noarch/{LIB}")])
    look_up, arrived = learning.look_up, False

    async def slow(reader: Reader, family: str, versions: Mapping[str, Collection[str]], *more: Any) -> list[Found]:
        nonlocal arrived
        if "lib" in versions and not arrived:
            arrived = True
            await house.upload("pub", "lib", "1.0", depends=PYTHON)
        return await look_up(reader, family, versions, *more)

    monkeypatch.setattr(learning, "look_up", slow)
    await house.services.db.write(lambda unit: unjudged.add(unit, [("conda", "lib")]))
    await judged(house)
    assert arrived
    await govern(house, "pub", cve_score=8)  # who asks anew relies on what was found
    assert (await status_of(house, "pub", LIB), await listed(house, "pub")) == (403, set())


async def test_a_file_that_arrives_while_an_advisory_ends_is_shown_like_the_others(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if house.services.db.dialect == "sqlite":
        pytest.skip("one unit at a time: nothing arrives meanwhile")
    await govern(house, "pub", cve_score=7)
    await house.upload("pub", "lib", depends=PYTHON)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    learn_anew, write_verdicts = learning.learn_anew, verdicts.write_verdicts
    arriving_now, over = asyncio.Event(), asyncio.Event()

    async def judges(unit: Unit, family: str, names: Collection[str]) -> list[Found]:
        found = await learn_anew(unit, family, names)
        if not arriving_now.is_set():
            uploads.append(asyncio.create_task(house.upload("pub", "lib", build="1", depends=PYTHON)))
            await arriving_now.wait()
        return found

    async def arrives(*given: Any) -> Any:
        arriving_now.set()
        await over.wait()
        return await write_verdicts(*given)

    uploads: list[asyncio.Task[Any]] = []
    monkeypatch.setattr(rejudging, "learn_anew", judges)
    monkeypatch.setattr(arriving, "write_verdicts", arrives)
    await advise(house.services, tmp_path, osv(1, "other"))
    async with asyncio.timeout(60):
        await rejudging.judge_waiting(house.services)
        over.set()
        await asyncio.gather(*uploads)
    await judged(house)
    assert uploads and await listed(house, "pub") == {LIB, "lib-1.0-1.conda"}


async def forget_everything(house: House) -> None:
    """Do what sweeps do when nothing is shown any more."""

    async def work(unit: Unit) -> None:
        for table in ("record_body", "record", "content"):
            await unit.execute(f"DELETE FROM {table}")

    await house.services.db.write(work)
