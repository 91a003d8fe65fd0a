"""Filters of mirrors that ask for vulnerabilities: judged by what is known at each run, with nothing written before."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.workflows.curating.curation import Decision, decide
from packhouse.workflows.judging import duty
from packhouse.workflows.mirroring.preview import preview
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.feeding import LOW, osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, judged
from tests.kit.mirroring import CondaSource, add_mirror, get, make_test_channel, run_and_wait, services_on, shown
from tests.kit.pythonindex import PythonSource
from tests.kit.upstream import Upstream

FORMS = pytest.mark.parametrize("form", ["json", "shards"])
TAME = osv(2, "tame", severity=[{"type": "CVSS_V3", "score": LOW}])
UNSCORED = osv(3, "unscored", severity=[])


def offered() -> CondaSource:
    """Return `lib` with a version of score 9.8 and its fix, `tame` of score 1.8, `unscored`, and `clean`."""
    source = CondaSource()
    for name, version in (("lib", "1.0"), ("lib", "2.0"), ("tame", "1.0"), ("unscored", "1.0"), ("clean", "1.0")):
        source.add(name, version, depends=["python >=3.8"])
    return source


async def names(services: Services, channel: Channel) -> set[str]:
    """Return the files in the index, without what they all end in."""
    return {filename.removesuffix("-0.conda") for filename in await shown(services, channel)}


async def learned(services: Services, folder: Path, *records: dict[str, Any]) -> None:
    """Let a feed say this, and the worker judge what follows."""
    await advise(services, folder, *records)
    await duty.judge(services)
    await services.publisher.publish_waiting()


EVERYTHING = {"lib-1.0", "lib-2.0", "tame-1.0", "unscored-1.0", "clean-1.0"}
SELECTED: list[tuple[dict[str, Any], set[str]]] = [
    ({"cve_score_threshold": 7.0}, EVERYTHING - {"lib-1.0"}),
    ({"cve_score_threshold": 9.8}, EVERYTHING - {"lib-1.0"}),
    ({"cve_score_threshold": 9.9}, EVERYTHING),
    ({"cve_score_threshold": 1.8}, EVERYTHING - {"lib-1.0", "tame-1.0"}),
    ({"cve_score_threshold": 0}, EVERYTHING - {"lib-1.0", "tame-1.0"}),
    ({"exclude_non_curated_cve": True}, {"lib-2.0", "clean-1.0"}),
    ({"exclude_non_curated_cve": True, "exclude_specs": ["lib"]}, {"clean-1.0"}),
]


@pytest.mark.parametrize(("filters", "expected"), SELECTED, ids=[str(case[0]) for case in SELECTED])
async def test_files_with_a_score_or_an_uncurated_vulnerability_stay_out(
    backend: Backend, tmp_path: Path, filters: dict[str, Any], expected: set[str]
) -> None:
    async with services_on(backend) as services, Upstream(offered().files()) as up:
        await learned(services, tmp_path, osv(1, "lib"), TAME, UNSCORED)
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, filters=filters)
        dry = await preview(services, channel, mirror)
        assert await services.db.fetch_value("SELECT count(*) FROM finding") == 0, "nobody has these files"
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", mirror.progress
        assert await names(services, channel) == expected
        found = mirror.progress.count
        assert sum((found.mirror_filtered.cve, found.mirror_filtered.exclude_specs)) == len(EVERYTHING - expected)
        assert (dry.counts.added, dry.counts.mirror_filtered) == (len(expected), found.mirror_filtered)


@FORMS
async def test_news_of_a_feed_take_files_out_and_bring_them_back_though_the_upstream_is_the_same(
    backend: Backend, tmp_path: Path, form: str
) -> None:
    async with services_on(backend) as services, Upstream(offered().files(forms=[form])) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, filters={"cve_score_threshold": 7.0})
        plain = await add_mirror(services, await make_test_channel(services, "all"), up.url)
        assert await names(services, channel) == set()
        for one in (mirror, plain):
            await run_and_wait(services, one)
        assert await names(services, channel) == EVERYTHING
        await learned(services, tmp_path, osv(1, "lib"))
        assert [(await get(services, one)).needs_full_run for one in (mirror, plain)] == [True, False]
        after = await run_and_wait(services, mirror)
        assert await names(services, channel) == EVERYTHING - {"lib-1.0"}
        assert (after.progress.count.removed, after.progress.count.mirror_filtered.cve) == (1, 1)
        assert not after.needs_full_run
        await learned(services, tmp_path, TAME)  # the feed says no more of lib
        await run_and_wait(services, mirror)
        assert await names(services, channel) == EVERYTHING


async def test_what_people_say_of_a_vulnerability_counts(backend: Backend, tmp_path: Path) -> None:
    async with services_on(backend) as services, Upstream(offered().files()) as up:
        await learned(services, tmp_path, osv(1, "lib"))
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, filters={"exclude_non_curated_cve": True})
        mirror = await run_and_wait(services, mirror)
        assert await names(services, channel) == EVERYTHING - {"lib-1.0"}
        await decide(services, "ann", [Decision("CVE-2024-0001", "conda", "lib", "cleared", "<2")])
        await duty.judge(services)
        await run_and_wait(services, mirror)
        assert await names(services, channel) == EVERYTHING


async def test_dependencies_that_come_along_are_asked_the_same(backend: Backend, tmp_path: Path) -> None:
    source = offered()
    source.add("app", subdir="linux-64", depends=["lib", "clean"])
    async with services_on(backend) as services, Upstream(source.files()) as up:
        await learned(services, tmp_path, osv(1, "lib"))
        channel = await make_test_channel(services)
        filters = {"subdirs": ["linux-64"], "cve_score_threshold": 7.0}
        mirror: Mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, filters=filters))
        assert mirror.state == "completed", mirror.progress
        assert await names(services, channel) == {"lib-2.0", "clean-1.0"}
        assert set(await shown(services, channel, "linux-64")) == {"app-1.0-0.conda"}


async def test_names_that_are_asked_for_on_demand_are_asked_for_anew_after_news(
    backend: Backend, tmp_path: Path
) -> None:
    source = PythonSource()
    for name, version in (("lib", "1.0"), ("lib", "2.0"), ("other", "1.0")):
        source.add(name, version)
    async with open_house(backend) as house, Upstream({}) as up:
        source.put_on(up)
        channel = await house.channel("pub")
        filters = {"cve_score_threshold": 7.0}
        await add_mirror(house.services, channel, f"{up.url}/simple", type="python_simple", filters=filters)
        assert await page(house, "lib") == {"lib-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"}
        assert await page(house, "other") == {"other-1.0-py3-none-any.whl"}
        await advise(house.services, tmp_path, osv(1, "lib"))
        await judged(house)
        assert await page(house, "lib") == {"lib-2.0-py3-none-any.whl"}
        assert await page(house, "other") == {"other-1.0-py3-none-any.whl"}
        assert (up.hits("simple/lib/"), up.hits("simple/other/")) == (2, 1), "the rest is as fresh as it was"
        await advise(house.services, tmp_path, TAME)
        await judged(house)
        assert await page(house, "lib") == {"lib-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"}


_numbers = count()


async def page(house: House, project: str) -> set[str]:
    """Return the files on the page of a project, as nobody has asked for it before."""
    await house.caught_up()
    accept = f"application/vnd.pypi.simple.v1+json, x/{next(_numbers)};q=0.1"
    answer = await house.web.get(f"/api/repo/pub/simple/{project}/", accept=accept)
    assert answer.status == 200, answer.body
    return {one["filename"] for one in answer.json()["files"]}
