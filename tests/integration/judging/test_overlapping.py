"""Two who judge the same at once: what one of them writes down, the index of every channel concerned follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.workflows.judging import duty, preparing, rejudging
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.feeding import LOW, osv
from tests.kit.house import House, open_house
from tests.kit.inspection import findings, seal_all
from tests.kit.judging import advise, govern, judged, listed

TWO = "lib-2.0-0.conda"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with two public channels under one ruleset, one of which has a package."""
    async with open_house(backend) as opened:
        for path in ("pub", "other"):
            await opened.channel(path)
        for version in ("1.0", "2.0"):
            await opened.upload("pub", "lib", version, depends=["python >=3.8"])
        yield opened


async def nothing_amiss(house: House) -> None:
    await seal_all(house.services)
    assert await findings(house.services) == []


async def test_what_is_copied_before_it_is_judged_again_is_hidden_in_both_channels(
    house: House, tmp_path: Path
) -> None:
    for path in ("pub", "other"):
        await govern(house, path, cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"))
    await copy(house.services, await house.find("pub"), await house.find("other"), "ann", [Item("lib")])
    await judged(house)
    assert (await listed(house, "pub"), await listed(house, "other")) == ({TWO}, {TWO})
    told = await house.services.db.fetch_all("SELECT name, version FROM news")
    assert [(row[0], row[1]) for row in told] == [("lib", "1.0")], "and whoever has it is told, once"
    await nothing_amiss(house)


async def test_an_advisory_that_ends_between_a_flip_and_the_index_leaves_no_trace(house: House, tmp_path: Path) -> None:
    """The ruleset before is still in use elsewhere: what it says changes while the index is compared with it."""
    await copy(house.services, await house.find("pub"), await house.find("other"), "ann", [Item("lib")])
    for path in ("pub", "other"):
        await govern(house, path, cve_score=7)
    await advise(house.services, tmp_path, osv(1, "lib"), osv(9, "else"))
    await judged(house)
    assert await listed(house, "pub") == {TWO}
    settle = preparing._settle

    async def late(*given: Any) -> None:
        low = [{"type": "CVSS_V3", "score": LOW}]
        await advise(house.services, tmp_path, osv(1, "lib", severity=low), osv(9, "else"))
        await rejudging.judge_waiting(house.services)
        await settle(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "_settle", late)
        await govern(house, "pub", cve_score=10)
    await duty.judge(house.services)
    await judged(house)
    assert await listed(house, "pub") == await listed(house, "other") == {"lib-1.0-0.conda", TWO}
    await nothing_amiss(house)
