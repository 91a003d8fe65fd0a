"""A policy that comes when findings are there: whole versions are judged by it, and single files where they differ."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.workflows.judging import preparing
from packhouse.workflows.judging.suspects import suspected_names
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.feeding import osv
from tests.kit.house import House, open_house
from tests.kit.judging import advise, govern, judged, listed

CLEARED = {"info/security.json": json.dumps({"vulns_cleared": [{"id": "CVE-2024-0001"}]}).encode()}
OPEN = {"exclude_cve_status": ["active", "reported"]}
RULES = (
    "SELECT record.name || '-' || record.version || '-' || record.build, verdict.rule FROM verdict"
    " JOIN record ON record.id = verdict.record_id JOIN channel ON channel.ruleset_id = verdict.ruleset_id"
    " WHERE channel.path = 'pub'"
)


@pytest.fixture
async def house(backend: Backend, tmp_path: Path) -> AsyncIterator[House]:
    """A server with two channels of equal files, of which some are known to be vulnerable."""
    async with open_house(backend) as opened:
        for channel in ("pub", "other"):
            await opened.channel(channel)
            for build in ("0", "1"):
                await put(opened, channel, "lib", "1.0", build)
                await put(opened, channel, "tame", "1.0", build)
            await put(opened, channel, "lib", "2.0")
        await advise(opened.services, tmp_path, osv(1, "lib"), osv(2, "tame"))
        await judged(opened)
        yield opened


async def put(house: House, channel: str, name: str, version: str, build: str = "0", **more: Any) -> None:
    """Upload a Python package."""
    await house.upload(channel, name, version, build, depends=["python >=3.8"], **more)


async def hidden(house: House) -> dict[str, str]:
    """Return what is hidden in the channel, with the rule."""
    return {row[0]: row[1] for row in await house.services.db.fetch_all(RULES)}


async def send(house: House, path: str, body: dict[str, Any]) -> None:
    answer = await call(house.admin, "POST", path, body)
    assert answer.status < 300, answer.body
    await judged(house)


async def test_all_files_of_a_version_are_hidden_in_channels_under_the_policy(house: House) -> None:
    await put(house, "other", "lib", "1.0", "7")
    await govern(house, "pub", cve_score=7)
    assert await listed(house, "pub") == {"lib-2.0-0.conda"}
    assert await hidden(house) == dict.fromkeys(("lib-1.0-0", "lib-1.0-1", "tame-1.0-0", "tame-1.0-1"), "cve")
    assert len(await listed(house, "other")) == 6


async def test_files_of_a_version_differ_by_what_is_said_of_them(house: House) -> None:
    await put(house, "pub", "lib", "1.0", "2", info=CLEARED)
    await put(house, "pub", "lib", "1.0", "3")
    said = {"cve": "CVE-2024-0002", "family": "conda", "name": "tame", "spec": "1.0 1", "status": "cleared"}
    await send(house, "/api/statements", said)
    await send(house, "/api/quarantine", {"channel": "pub", "ckey": "noarch/lib-1.0-3.conda", "reason": "Bad."})
    await govern(house, "pub", **OPEN)
    assert await listed(house, "pub") == {"lib-1.0-2.conda", "lib-2.0-0.conda", "tame-1.0-1.conda"}
    assert await hidden(house) == {
        **dict.fromkeys(("lib-1.0-0", "lib-1.0-1", "tame-1.0-0"), "cve"),
        "lib-1.0-3": "quarantine",
    }


async def test_a_policy_that_comes_back_says_what_holds_then(house: House) -> None:
    await govern(house, "pub", **OPEN)
    before = await hidden(house)
    assert len(before) == 4
    await govern(house, "pub")
    await send(
        house,
        "/api/statements",
        {"cve": "CVE-2024-0001", "family": "conda", "name": "lib", "status": "cleared"},
    )
    await put(house, "pub", "tame", "1.0", "2")
    await govern(house, "pub", **OPEN)
    assert await hidden(house) == dict.fromkeys(("tame-1.0-0", "tame-1.0-1", "tame-1.0-2"), "cve")
    assert await listed(house, "pub") == {"lib-1.0-0.conda", "lib-1.0-1.conda", "lib-2.0-0.conda"}


async def test_what_its_builder_cleared_stays_seen_though_it_comes_while_a_policy_is_prepared(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = suspected_names

    async def then_one_comes(*asked: Any) -> Any:
        found = await look(*asked)
        await put(house, "pub", "lib", "1.0", "2", info=CLEARED)
        return found

    monkeypatch.setattr(preparing, "suspected_names", then_one_comes)
    await govern(house, "pub", **OPEN)
    assert await listed(house, "pub") == {"lib-1.0-2.conda", "lib-2.0-0.conda"}
