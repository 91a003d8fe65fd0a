"""While a ruleset is on its way into force, who asks is told how far it has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhouse.workflows.judging import duty, preparing
from packhouse.workflows.judging.rejudging import judge_waiting
from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.house import House, open_house
from tests.kit.judging import judged, listed
from tests.kit.pythonindex import wheel_of

FILES = 6
RULES = {"license_not": ["GPL3"], "latest_only": True}


@pytest.fixture
async def house(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A server with a channel of packages, of which a unit takes two files."""
    for units in ("FILES", "FILES_OF_VERSIONS"):
        monkeypatch.setattr(preparing, units, 2)
    async with open_house(backend) as opened:
        await opened.channel("pub")
        for number in range(FILES):
            await opened.upload("pub", f"lib{number}")
        yield opened


async def upload_wheel(house: House, name: str) -> None:
    filename, content = wheel_of(name, "1.0")
    answer = await house.admin.put(f"/api/repo/pub/simple/{name}/{filename}", content)
    assert answer.status in (200, 201), answer.body


async def assign(house: House, **rules: Any) -> None:
    made = await call(house.admin, "POST", "/api/policies", {"name": str(rules), **rules, "channel_name": "pub"})
    assert made.status == 201, made.body


async def come(house: House) -> Any:
    """Return the state of the channel's policy and how far it has come."""
    found = await read(house.web, "/api/channels/pub/policy")
    return found["state"], found["progress"]


def watch(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list to which is added, after each unit, what is told then."""
    told: list[Any] = []

    async def look(*given: Any) -> int:
        told.append(await come(house))
        return await judge_waiting(*given)

    monkeypatch.setattr(preparing, "judge_waiting", look)
    return told


async def test_files_that_are_done_are_counted_until_the_ruleset_holds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assign(house, **RULES)
    assert await come(house) == ("preparing", None), "nobody has begun"
    told = watch(house, monkeypatch)
    await duty.judge(house.services)
    every = 2 * FILES  # for verdicts, and for what is the newest here
    assert [one["done"] for state, one in told if state == "preparing"] == [2, 4, 6, 8, 10, 12, 12]
    assert {one["files"] for state, one in told if state == "preparing"} == {every}
    assert await come(house) == ("in_effect", None)


async def test_files_of_another_family_are_counted_once_even_if_packages_share_a_name(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lib0", "wheel"):
        await upload_wheel(house, name)
    await assign(house, **RULES)
    told = watch(house, monkeypatch)
    await duty.judge(house.services)
    every = 2 * (FILES + 2)
    assert {one["files"] for state, one in told if state == "preparing"} == {every}
    assert max(one["done"] for state, one in told if state == "preparing") == every


async def test_it_begins_anew_after_a_crash_and_is_forgotten_when_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def dies(*given: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return await judge_waiting(*given)

    async def gives_up(*given: Any) -> int:
        assert (await call(house.admin, "PUT", "/api/channels/pub", {"policy_id": None})).status == 200
        return await judge_waiting(*given)

    await assign(house, **RULES)
    monkeypatch.setattr(preparing, "judge_waiting", dies)
    with pytest.raises(KeyboardInterrupt):
        await duty.judge(house.services)
    assert await come(house) == ("preparing", {"files": 2 * FILES, "done": 4})
    monkeypatch.setattr(preparing, "judge_waiting", gives_up)
    await duty.judge(house.services)
    assert not await house.services.db.fetch_all("SELECT * FROM preparation WHERE ruleset_id != 0")
    await judged(house)
    assert await come(house) == ("unassigned", None)
    assert len(await listed(house, "pub")) == FILES
    assert not await house.services.db.fetch_all("SELECT * FROM preparation")
