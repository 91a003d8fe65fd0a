"""The user activity report: who downloaded what and with which vulnerabilities, for a year and in constant memory."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhouse.core.clock import DAY, to_iso
from packhouse.workflows.delivering import counting
from packhouse.workflows.reporting.activity import Wanted, activity
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.asgi import Answer, Client
from tests.kit.calls import call, read
from tests.kit.house import House, open_house
from tests.kit.known import found_in
from tests.kit.seeded import seed_downloads

ROUTE = "/api/reports/artifact_downloads"
EVER = {"from_date": "2026-01-01", "to_date": "2026-12-31"}


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        for name in ("ann", "bob"):
            await opened.person(name)
        for name in ("pub", "other"):
            await opened.channel(name)
            await opened.upload(name, "one")
        yield opened


async def downloaded(house: House, who: Client, channel: str, times: int = 1, **headers: str) -> None:
    for _ in range(times):
        assert (await who.get(f"/api/repo/{channel}/noarch/one-1.0-0.conda", **headers)).status == 200
    await house.server._counter.fold()


async def asked(house: House, **body: Any) -> Answer:
    now = await house.services.db.now()
    yesterday, today = ((to_iso(at) or "")[:10] for at in (now - DAY, now))  # what was downloaded before midnight, too
    return await call(house.admin, "POST", ROUTE, {"from_date": yesterday, "to_date": today, **body})


async def items(house: House, **body: Any) -> list[dict[str, Any]]:
    answer = await asked(house, **body)
    assert answer.status == 200, answer.body
    told: list[dict[str, Any]] = answer.json()["downloaded_items"]
    return told


async def test_who_what_when_from_where_and_with_which_vulnerabilities_then(house: House) -> None:
    await found_in(house, "CVE-2026-0002")
    await found_in(house, "CVE-2026-0001")
    before = to_iso(await house.services.db.now()) or ""
    agent = "conda/26.9.0 aau/0.7.2 c/AxQ n/base o/Org o/Two"
    await downloaded(house, house.as_("ann"), "pub", 3, user_agent=agent)
    await found_in(house, "CVE-2026-0003")
    await downloaded(house, house.as_("bob"), "other", user_agent="=cmd()")
    await downloaded(house, house.web, "pub")
    after = to_iso(await house.services.db.now() + 1000) or ""
    told = await items(house)
    assert [(one["user_name"], one["channel_name"]) for one in told] == [("ann", "pub")] * 3 + [
        ("bob", "other"),
        (None, "pub"),
    ]
    one, last = told[0], told[-1]
    assert (one["family"], one["platform"], one["package"], one["version"]) == ("conda", "noarch", "one", "1.0")
    assert one["cves"] == ["CVE-2026-0001", "CVE-2026-0002"]
    assert last["cves"] == [*one["cves"], "CVE-2026-0003"]
    assert (one["address"], one["user_agent"]) == ("127.0.0.1", agent)
    assert one["client_tokens"] == {"client": "AxQ", "environment_name": "base", "organization": "Org Two"}
    assert (one["token_id"], last["token_id"]) == (house.people["ann"].token_id, None)
    times = [item["time"] for item in told]
    assert times == sorted(times) and before <= times[0] <= times[-1] <= after
    table = (await asked(house, download_as="csv")).body.decode().splitlines()
    rows = list(csv.DictReader(table))
    assert [(row["user_name"], row["cves"], row["client_tokens"], row["user_agent"]) for row in rows][2:4] == [
        (
            "ann",
            "CVE-2026-0001 CVE-2026-0002",
            "client=AxQ environment_name=base organization=Org organization=Two",
            agent,
        ),
        ("bob", "CVE-2026-0001 CVE-2026-0002 CVE-2026-0003", "", "'=cmd()"),
    ]
    [event, *_] = (await read(house.admin, "/api/events?type=report_generated"))["items"]
    assert (event["meta"], event["data"]["form"]) == ({"actor": "admin", "object": "artifact_downloads"}, "csv")


async def test_of_users_and_channels_also_of_those_who_are_gone(house: House) -> None:
    for name in ("ann", "bob"):
        for channel in ("pub", "other"):
            await downloaded(house, house.as_(name), channel)
    await staffing.delete_user(house.services.db, "bob", "admin")
    assert (await call(house.admin, "DELETE", "/api/channels/other")).status == 202

    async def chosen(**body: Any) -> set[tuple[str, str]]:
        return {(one["user_name"], one["channel_name"]) for one in await items(house, **body)}

    assert await chosen(user_names=["bob"]) == {("bob", "pub"), ("bob", "other")}
    assert await chosen(channel_names=["other"], user_names=[]) == {("ann", "other"), ("bob", "other")}
    assert await chosen(user_names=["bob", "ann"], channel_names=["pub"]) == {("ann", "pub"), ("bob", "pub")}
    for wrong in ({"user_names": ["nobody"]}, {"channel_names": ["pub", "nowhere"]}):
        refused = await asked(house, **wrong)
        assert (refused.status, refused.json()["code"]) == (400, "bad_request")


async def test_only_what_lies_between_the_dates(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    now = await house.services.db.now()
    for days in (400, 300, 0):
        monkeypatch.setattr(counting, "wall_micros", lambda at=now - days * DAY: at)
        house.server._counter.count(await house.download("pub", "one"))
        monkeypatch.undo()
        await house.server._counter.fold()

    def ago(days: int) -> str:
        return (to_iso(now - days * DAY) or "")[:10]

    assert len(await items(house, from_date=ago(365))) == 2
    assert len(await items(house, from_date=ago(299))) == 1
    assert len(await items(house, from_date=ago(301), to_date=ago(299))) == 1
    for first, last in ((ago(366), ago(0)), (ago(0), ago(1)), ("yesterday", ago(0))):
        refused = await asked(house, from_date=first, to_date=last)
        assert (refused.status, refused.json()["code"]) == (400, "bad_request"), (first, last)


async def test_only_who_may_read_the_audit_log_asks(house: House) -> None:
    assert (await call(house.web, "POST", ROUTE, EVER)).status == 401
    assert (await call(house.as_("ann"), "POST", ROUTE, EVER)).status == 403


@pytest.mark.parametrize(("few", "many"), [(5_000, 50_000), pytest.param(100_000, 1_000_000, marks=pytest.mark.full)])
async def test_ten_times_the_rows_take_no_more_memory(house: House, few: int, many: int) -> None:
    db, last = house.services.db, await house.services.db.now()
    first = last - 100 * DAY
    await seed_downloads(db, many, first, last)

    async def peak(days: int) -> tuple[int, int]:
        rows = 0
        tracemalloc.start()
        async for batch in await activity(db, Wanted(first, first + days * DAY), "admin", repr):
            rows += len(batch)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return rows, used

    part, whole = await peak(10), await peak(101)
    assert (part[0], whole[0]) == (few, many)
    assert whole[1] < part[1] + 2_000_000, (part, whole)
