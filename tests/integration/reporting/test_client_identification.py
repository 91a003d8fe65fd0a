"""Settings that change while the server runs, and the one that makes clients say who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from packhouse.core.clock import SECOND, from_iso, monotonic
from packhouse.workflows.reporting import identification
from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.house import House, open_house, second_process

ROUTE = "/api/system/settings"
PACKAGE, INDEX = "/api/repo/pub/noarch/one-1.0-0.conda", "/api/repo/pub/noarch/repodata.json"
PLAIN = "conda/26.9.0 requests/2.32.5 CPython/3.13.1 Linux/6.12 debian/12 glibc/2.36"
KNOWN = f"{PLAIN} aau/0.7.2 c/AxQ3 s/9fT e/Zp3"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.person("owner")
        await opened.channel("pub")
        await opened.upload("pub", "one")
        yield opened


async def set_ident(house: House, **members: object) -> None:
    answer = await call(house.admin, "PUT", ROUTE, {"anaconda_ident_settings": members})
    assert answer.status == 200, answer.body
    await house.caught_up()


async def test_what_is_not_sent_stays_and_what_nobody_knows_is_refused(house: House) -> None:
    default: dict[str, object] = {"enabled": False, "enable_from": None, "selected_tokens": []}
    assert await read(house.admin, ROUTE) == {"anaconda_ident_settings": default}
    await set_ident(house, selected_tokens=["client", "hostname"], enable_from="2999-01-01")
    await set_ident(house, enabled=True)
    assert (await call(house.admin, "PUT", ROUTE, {})).status == 200
    wanted = {"enabled": True, "enable_from": "2999-01-01", "selected_tokens": ["client", "hostname"]}
    assert await read(house.admin, ROUTE) == {"anaconda_ident_settings": wanted}
    await set_ident(house, enable_from=None)
    wrong: list[dict[str, object]] = [
        {"ident": {}},
        {"anaconda_ident_settings": {"selected_tokens": ["shoe size"]}},
        {"anaconda_ident_settings": {"enable_from": "soon"}},
        {"anaconda_ident_settings": {"enabled": "yes"}},
    ]
    for body in wrong:
        refused = await call(house.admin, "PUT", ROUTE, body)
        assert (refused.status, refused.json()["code"]) == (400, "bad_request"), body
    events = await read(house.admin, "/api/events?type=setting_updated")
    assert events["total_count"] == 3, "one for each change, none for what changed nothing"
    assert events["items"][0]["data"]["value"] == {**wanted, "enable_from": None}
    for client, status in ((house.web, 401), (house.as_("owner"), 403)):
        assert (await client.get(ROUTE)).status == (await call(client, "PUT", ROUTE, {})).status == status


async def test_two_edits_at_a_time_lose_neither(house: House) -> None:
    db = house.services.db
    for _ in range(10):  # the first time nobody ever set anything
        await asyncio.gather(
            identification.change(db, "ann", enabled=True), identification.change(db, "bob", selected_tokens=["client"])
        )
        now = await identification.read(db)
        assert now.enabled and now.selected_tokens == ["client"]
        await identification.change(db, "ann", enabled=False, selected_tokens=[])


async def test_clients_that_do_not_say_who_they_are_are_refused(house: House) -> None:
    for path in (PACKAGE, INDEX):
        assert (await house.web.get(path, user_agent=PLAIN)).status == 200
    await set_ident(house, enabled=True, selected_tokens=["client", "environment"])
    for path in (PACKAGE, INDEX, "/api/repo/nowhere/noarch/repodata.json"):
        for _ in range(2):  # afresh, and from memory
            assert (await house.web.get(path, user_agent=KNOWN)).status == (401 if "nowhere" in path else 200)
            for agent in (PLAIN, f"{PLAIN} c/AxQ3", f"{PLAIN} e/", f"{PLAIN}c/AxQ3 xe/Zp3"):
                refused = await house.web.get(path, user_agent=agent)
                assert (refused.status, refused.json()["code"]) == (403, "client_not_identified"), (path, agent)
            assert (await house.web.get(path)).status == 403
            assert (await house.web.head(path, user_agent=PLAIN)).status == 403
    assert "environment" in (await house.web.get(INDEX, user_agent=f"{PLAIN} c/AxQ3")).json()["message"]
    assert (await house.web.get("/api/repo/pub/pypi/simple/", user_agent="pip/26.1")).status != 403
    await house.upload("pub", "two")  # who puts a file there needs no tokens
    await set_ident(house, enabled=False)
    assert (await house.web.get(PACKAGE, user_agent=PLAIN)).status == 200


async def test_it_begins_on_its_day(house: House) -> None:
    await set_ident(house, enabled=True, selected_tokens=["session"], enable_from="2999-01-01")
    assert (await house.web.get(INDEX, user_agent=PLAIN)).status == 200
    await set_ident(house, enable_from="2020-01-01")
    assert (await house.web.get(INDEX, user_agent=PLAIN)).status == 403


async def test_its_day_begins_by_the_clock_of_the_database(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one process refuses what another one, on a machine whose clock is late, still answers."""
    day, minute = "2999-01-01", 60 * SECOND
    for kind, late, status in (("session", -minute, 200), ("client", minute, 403)):
        monkeypatch.setattr(house.services.db, "now", partial(told, from_iso(day) + late))
        await set_ident(house, enabled=True, selected_tokens=[kind], enable_from=day)
        assert (await house.web.get(INDEX, user_agent=PLAIN)).status == status


async def test_its_day_begins_while_it_is_remembered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.services.db, "now", partial(told, from_iso("2999-01-01") - 60 * SECOND))
    await set_ident(house, enabled=True, selected_tokens=["session"], enable_from="2999-01-01")
    assert (await house.web.get(INDEX, user_agent=PLAIN)).status == 200
    monkeypatch.setattr(identification, "monotonic", lambda: monotonic() + 61)
    assert (await house.web.get(INDEX, user_agent=f"{PLAIN} another")).status == 403


async def told(time: int) -> int:
    return time


async def test_another_process_follows(house: House, backend: Backend, tmp_path: Path) -> None:
    async with second_process(backend, house, tmp_path / "second") as other:
        assert (await other.web.get(INDEX, user_agent=PLAIN)).status == 200
        await set_ident(house, enabled=True, selected_tokens=["session"])
        await other.caught_up()
        assert (await other.web.get(INDEX, user_agent=PLAIN)).status == 403
