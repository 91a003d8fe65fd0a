"""One file is explained by itself as it is among all of its package, by rules that compare files, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.workflows.answering import explaining
from packhouse.workflows.answering.explaining import Explained, explain_file, explain_package
from packhouse.workflows.judging.batches import batch_of
from tests.conftest import Backend
from tests.kit.feeding import HIGH, add_feed, kev, osv, take
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, judged, listed
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with one public channel, `team`."""
    async with open_house(backend) as opened:
        await opened.channel("team")
        yield opened


async def asked(house: House, ckey: str) -> dict[str, str]:
    """Return what each rule answers of a file, the same alone and with its package; the gate agrees."""
    db, channel = house.services.db, await house.find("team")
    alone = await explain_file(db, channel, "conda", ckey)
    among = await explain_package(db, channel, "conda", alone.name, 100)
    [same] = [one for one in among.files if f"{one.gate.partition}/{one.gate.filename}" == ckey]
    assert alone.files[0] == same and same.settled
    return {one.rule: one.answer for one in same.asked}


async def of_package(house: House, **page: int) -> Explained:
    return await explain_package(house.services.db, await house.find("team"), "conda", "lib", **{"limit": 100, **page})


async def newest_beside(house: House, ckey: str) -> str | None:
    told = await explain_file(house.services.db, await house.find("team"), "conda", ckey)
    return told.newest.version if told.newest else None


async def test_the_newest_only_counts_in_each_subdir_those_that_may_be_seen(house: House) -> None:
    for subdir, versions in {"noarch": ("1.0", "2.0", "3.0"), "linux-64": ("1.0", "1.5"), "win-64": ("3.0",)}.items():
        for version in versions:
            await house.upload("team", "lib", version, subdir=subdir, depends=["python >=3.8"])
    await govern(house, "team", latest_only=True, exclude_package_name=["lib >=3"])
    assert (await asked(house, "noarch/lib-1.0-0.conda"))["latest_only"] == "hides"
    assert (await asked(house, "noarch/lib-2.0-0.conda"))["latest_only"] == "passes"
    assert (await asked(house, "linux-64/lib-1.5-0.conda"))["latest_only"] == "passes"
    assert (await asked(house, "linux-64/lib-1.0-0.conda"))["latest_only"] == "hides"
    assert await newest_beside(house, "noarch/lib-1.0-0.conda") == "2.0"
    assert await newest_beside(house, "linux-64/lib-1.0-0.conda") == "1.5", "what could stand in its place"
    assert await newest_beside(house, "win-64/lib-3.0-0.conda") is None
    told = await of_package(house)
    assert told.newest is not None and told.newest.version == "2.0" and told.total == 6


async def test_what_cannot_be_installed_supersedes_older_ones(house: House) -> None:
    await house.upload("team", "base")
    await house.upload("team", "lib", "1.0")
    await house.upload("team", "lib", "2.0", depends=["base"])
    await govern(house, "team", latest_only=True, whole_closure=True, exclude_package_name=["base"])
    assert await listed(house, "team") == set()
    assert (await asked(house, "noarch/lib-1.0-0.conda"))["latest_only"] == "hides"
    assert (await asked(house, "noarch/lib-2.0-0.conda"))["whole_closure"] == "hides"


async def test_the_newest_is_the_newest_of_what_is_needed(house: House) -> None:
    for version in ("1.0", "1.5", "2.0"):
        await house.upload("team", "lib", version)
    await house.upload("team", "app", depends=["lib <2"])
    await govern(house, "team", latest_only=True, package_name=["app"], include_dependencies=True)
    assert await listed(house, "team") == {"app-1.0-0.conda", "lib-1.5-0.conda"}
    assert (await asked(house, "noarch/lib-1.5-0.conda"))["latest_only"] == "passes"
    assert (await asked(house, "noarch/lib-1.0-0.conda"))["latest_only"] == "hides"
    assert (await asked(house, "noarch/lib-2.0-0.conda"))["package_name"] == "hides"


async def test_an_older_form_is_compared_with_its_twin(house: House) -> None:
    for build, kinds in {"0": ("conda", "tar.bz2"), "1": ("tar.bz2",)}.items():
        for kind in kinds:
            await house.upload("team", "lib", "1.0", build, kind=kind)
    await govern(house, "team", cve_score=7)
    assert (await asked(house, "noarch/lib-1.0-0.tar.bz2"))["legacy_packages"] == "hides"
    assert (await asked(house, "noarch/lib-1.0-1.tar.bz2"))["legacy_packages"] == "passes"
    assert (await asked(house, "noarch/lib-1.0-0.conda"))["legacy_packages"] == "passes"


async def test_a_fix_of_what_is_exploited_is_compared_with_the_version_before(house: House, tmp_path: Path) -> None:
    source, folder = CondaSource(), tmp_path / "source"

    def write() -> None:
        for place, data in source.files().items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(data)

    source.add("other")
    write()
    mirror = await add_mirror(house.services, await house.find("team"), folder.as_uri(), mode="passive")
    await run_and_wait(house.services, mirror)
    for version in ("1.0", "2.0", "2.5", "3.0"):
        source.add("lib", version, depends=["python >=3.8"])
    write()
    await run_and_wait(house.services, mirror)
    await advise(house.services, tmp_path, osv(1, "lib", severity=[{"type": "CVSS_V3", "score": HIGH}]))
    (tmp_path / "kev.json").write_bytes(kev("CVE-2024-0001"))
    await add_feed(house.services, (tmp_path / "kev.json").as_uri(), "kev")
    await take(house.services, "kev")
    await judged(house)
    await govern(house, "team", minimum_age_days=7)
    answers = {v: (await asked(house, f"noarch/lib-{v}-0.conda"))["minimum_age"] for v in ("1.0", "2.0", "2.5", "3.0")}
    assert answers == {"1.0": "hides", "2.0": "passes", "2.5": "hides", "3.0": "hides"}, "2.0 fixes it"


async def test_a_file_is_explained_without_a_look_at_all_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a package of many thousands: few files are judged at a time, and the rest in other turns."""
    for number in range(12):
        await house.upload("team", "lib", f"1.{number}", depends=["python >=3.8"])
    await govern(house, "team", latest_only=True, cve_score=7)
    looked: list[int] = []

    def counted(rows: Any, *given: Any) -> Any:
        looked.append(len(rows))
        return batch_of(rows, *given)

    monkeypatch.setattr(explaining, "batch_of", counted)
    monkeypatch.setattr(explaining, "PART", 5)
    await asked(house, "noarch/lib-1.3-0.conda")
    assert looked[0] == 2, "it, and the newest"
    assert looked[1:] == [5, 6, 3], "in parts, each with the newest"
    page = await of_package(house, limit=2, offset=10)
    assert ([one.gate.version for one in page.files], page.total) == (["1.1", "1.0"], 12)
