"""Passive files are judged on their record before anybody is asked for them, and on their bytes before one is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

SCRIPT = "noarch/scripted-1.0-0.conda"
PLAIN = "noarch/plain-1.0-0.conda"
WAYS = ("GET", "HEAD")


def source() -> CondaSource:
    """Return `plain`, and `scripted` with a script that runs when it is linked."""
    found = CondaSource()
    found.add("plain", depends=["python >=3.8"])
    found.add("scripted", files={"bin/.scripted-post-link.sh": b"echo linked\n"})
    return found


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    """A server with that."""
    async with Upstream(source().files()) as opened:
        yield opened


@pytest.fixture
async def house(backend: Backend, up: Upstream) -> AsyncIterator[House]:
    """A server whose public channel `pub` is a passive mirror of it."""
    async with open_house(backend) as opened:
        channel = await opened.channel("pub")
        mirror = await run_and_wait(opened.services, await add_mirror(opened.services, channel, up.url))
        assert mirror.state == "completed", mirror.progress.last_exception
        yield opened


async def refused(house: House, ckey: str) -> str:
    """Ask for a file that nobody may have in every way; return the rule, of which not a byte of the file is told."""
    for method in WAYS:
        for headers in ({}, {"range": "bytes=0-9"}):
            answer = await house.web.request(method, f"/api/repo/pub/{ckey}", headers=headers)
            assert answer.status == 403, answer.body
            assert not answer.body.startswith(b"PK")
    answer = await house.web.get(f"/api/repo/pub/{ckey}")
    return str(answer.json()["details"]["rule"])


async def test_what_is_hidden_by_its_record_is_refused_and_the_upstream_sees_no_request(
    house: House, up: Upstream, tmp_path: Path
) -> None:
    await govern(house, "pub", cve_score=7, cve_score_comparator="<=")
    await advise(house.services, tmp_path, osv(1, "plain"))
    await judged(house)
    assert await refused(house, PLAIN) == "cve"
    assert up.hits(PLAIN) == 0
    await govern(house, "pub")
    assert await status_of(house, "pub", "plain-1.0-0.conda") == 200
    assert up.hits(PLAIN) == 1


async def test_what_proves_forbidden_when_it_has_arrived_is_not_sent(house: House, up: Upstream) -> None:
    await govern(house, "pub", install_time_code="hide")
    assert await listed(house, "pub") == {"plain-1.0-0.conda", "scripted-1.0-0.conda"}, "nobody can tell yet"
    assert await refused(house, SCRIPT) == "install_time_code"
    assert up.hits(SCRIPT) == 1
    assert await status_of(house, "pub", "plain-1.0-0.conda") == 200
    await judged(house)
    assert await listed(house, "pub") == {"plain-1.0-0.conda"}
    await govern(house, "pub")
    assert await status_of(house, "pub", "scripted-1.0-0.conda") == 200
    assert up.hits(SCRIPT) == 1, "it is here"


async def test_where_missing_facts_hide_nobody_asks_the_upstream(house: House, up: Upstream) -> None:
    await govern(house, "pub", install_time_code="hide", missing_facts="hide")
    assert await listed(house, "pub") == set()
    for ckey in (PLAIN, SCRIPT):
        assert await refused(house, ckey) == "install_time_code"
    assert [path.path for path in up.requests if path.path.endswith(".conda")] == []
