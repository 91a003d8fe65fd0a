"""The user activity report: who downloaded what and with which vulnerabilities, for a year and in constant memory."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhouse.catalog.accounts import accounts
from packhouse.core.clock import DAY, to_iso
from packhouse.core.db import Unit
from packhouse.workflows.delivering import counting
from packhouse.workflows.reporting.activity import Wanted, activity
from tests.conftest import Backend
from tests.kit.asgi import Answer, Client
from tests.kit.calls import call, read
from tests.kit.house import House, open_house

ROUTE = "/api/reports/artifact_downloads"
EVER = {"from_date": "2026-01-01", "to_date": "2026-12-31"}
SEED_FILES = """INSERT INTO downloaded (entry_id, record_id, sha256, channel_id, channel, family, partition, name,
 version, filename) SELECT n, n, :sha256, 1, 'pub', 'conda', 'noarch', 'one', '1.' || n, 'one' FROM (
 WITH RECURSIVE c(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM c WHERE n < 1999) SELECT n FROM c) numbers"""
SEED_ROWS = """INSERT INTO download_by (file_id, day, account_id, count, first_at, last_at)
 SELECT id, :first + n, 1, 1, (:first + n) * 86400000000, (:first + n) * 86400000000 + 5 FROM downloaded, (
 WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 99) SELECT n FROM c) numbers
 WHERE entry_id >= 1000"""


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        for name in ("ann", "bob"):
            await opened.person(name)
        for name in ("pub", "other"):
            await opened.channel(name)
            await opened.upload(name, "one")
        yield opened


async def downloaded(house: House, who: Client, channel: str, times: int = 1) -> None:
    for _ in range(times):
        assert (await who.get(f"/api/repo/{channel}/noarch/one-1.0-0.conda")).status == 200
    await house.server._counter.fold()


async def found_in(house: House, key: str) -> None:
    """Let a vulnerability be found in version 1.0 of the package."""

    async def work(unit: Unit) -> None:
        number = await unit.fetch_value(
            "INSERT INTO vulnerability (key, kind, exploited, summary, body) VALUES (:key, 'vulnerability', FALSE, '',"
            " :body) RETURNING id",
            key=key,
            body=b"",
        )
        await unit.execute(
            "INSERT INTO finding (family, name, version, vulnerability_id, advisory_id, fixed_in, evidence)"
            " VALUES ('conda', 'one', '1.0', :number, 0, '', '')",
            number=number,
        )

    await house.services.db.write(work)


async def asked(house: House, **body: Any) -> Answer:
    day = (to_iso(await house.services.db.now()) or "")[:10]
    return await call(house.admin, "POST", ROUTE, {"from_date": day, "to_date": day, **body})


async def items(house: House, **body: Any) -> list[dict[str, Any]]:
    answer = await asked(house, **body)
    assert answer.status == 200, answer.body
    told: list[dict[str, Any]] = answer.json()["downloaded_items"]
    return told


async def test_who_what_when_and_with_which_vulnerabilities(house: House) -> None:
    await found_in(house, "CVE-2026-0002")
    await found_in(house, "CVE-2026-0001")
    before = to_iso(await house.services.db.now()) or ""
    await downloaded(house, house.as_("ann"), "pub", 3)
    await downloaded(house, house.as_("bob"), "other")
    await downloaded(house, house.web, "pub")
    after = to_iso(await house.services.db.now() + 1000) or ""
    told = await items(house)
    assert {(one["user_name"], one["channel_name"], one["downloads"]) for one in told} == {
        ("ann", "pub", 3),
        ("bob", "other", 1),
        (None, "pub", 1),
    }
    one = told[0]
    assert (one["family"], one["platform"], one["package"], one["version"]) == ("conda", "noarch", "one", "1.0")
    assert one["cves"] == ["CVE-2026-0001", "CVE-2026-0002"]
    assert all(before <= item["first_at"] <= item["last_at"] <= after for item in told)
    table = (await asked(house, download_as="csv")).body.decode().splitlines()
    rows = list(csv.DictReader(table))
    assert sorted((row["user_name"], row["downloads"], row["cves"]) for row in rows) == [
        ("", "1", "CVE-2026-0001 CVE-2026-0002"),
        ("ann", "3", "CVE-2026-0001 CVE-2026-0002"),
        ("bob", "1", "CVE-2026-0001 CVE-2026-0002"),
    ]
    [event, *_] = (await read(house.admin, "/api/events?type=report_generated"))["items"]
    assert (event["meta"], event["data"]["form"]) == ({"actor": "admin", "object": "artifact_downloads"}, "csv")


async def test_of_users_and_channels_also_of_those_who_are_gone(house: House) -> None:
    for name in ("ann", "bob"):
        for channel in ("pub", "other"):
            await downloaded(house, house.as_(name), channel)
    await accounts.delete_user(house.services.db, "bob", "admin")
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


async def test_ten_times_the_rows_take_no_more_memory(house: House) -> None:
    db, first = house.services.db, 20_000

    async def seed(unit: Unit) -> None:
        await unit.execute(SEED_FILES, sha256=b"\1" * 32)
        await unit.execute(SEED_ROWS, first=first)

    await db.write(seed)

    async def peak(days: int) -> tuple[int, int]:
        rows = 0
        wanted = Wanted(first * DAY, (first + days) * DAY)
        tracemalloc.start()
        async for batch in await activity(db, wanted, "admin"):
            rows += len(batch)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return rows, used

    few, many = await peak(10), await peak(100)
    assert (few[0], many[0]) == (10_000, 100_000)
    assert many[1] < few[1] + 2_000_000, (few, many)
