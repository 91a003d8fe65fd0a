"""What installing a file may bring along: each dependency, and the worst that can still be had."""

from __future__ import annotations

from typing import Any

from tests.integration.vulnerabilities.test_packages import hide
from tests.kit.calls import read
from tests.kit.findings import cover, found, know, say
from tests.kit.house import House

PURL: dict[str, Any] = {"purls": ["pkg:pypi/known@1"]}


async def closure(house: House, name: str, version: str = "1.0") -> Any:
    ckey = f"noarch/{name}-{version}-0.conda"
    return await read(house.admin, f"/api/channels/team/artifacts/conda/{name}/closure?ckey={ckey}")


async def test_each_dependency_tells_newest_and_worst_and_the_closure_its_worst(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.upload("team", "app", depends=["web >=1", "tool", "absent >=2", "__unix"])
    await house.upload("team", "web", "1.0", depends=["deep"], **PURL)
    await house.upload("team", "web", "2.0", depends=["deep"], **PURL)
    await house.upload("team", "web", "0.5", **PURL)
    await house.upload("team", "tool", depends=["web"], **PURL)
    await house.upload("team", "deep", **PURL)
    await house.upload("team", "apart", **PURL)
    await cover(db, "PyPI")
    for key, score, name, versions in (
        ("CVE-2024-0001", 70, "web", ("0.5", "1.0")),
        ("CVE-2024-0002", 91, "deep", ("1.0",)),
        ("CVE-2024-0003", 99, "apart", ("1.0",)),
        ("CVE-2024-0004", 100, "tool", ("1.0",)),
    ):
        await found(db, await know(db, key, score), name, *versions)
    await say(db, "CVE-2024-0004", "tool", "cleared")
    shown = await closure(house, "app")
    assert [(one["spec"], one["name"], one["files_count"]) for one in shown["items"]] == [
        ("absent >=2", "absent", 0),
        ("tool", "tool", 1),
        ("web >=1", "web", 2),
    ]
    absent, tool, web = shown["items"]
    assert (absent["newest"], absent["worst"]) == (None, None)
    assert (tool["newest"]["score"], tool["newest"]["status"], tool["newest"]["answer"], tool["worst"]) == (
        10.0, "cleared", "not_affected", None,
    )  # fmt: skip
    assert (web["newest"]["version"], web["newest"]["answer"]) == ("2.0", "not_affected")
    assert (web["worst"]["version"], web["worst"]["score"], web["worst"]["worst_cve"]) == ("1.0", 7.0, "CVE-2024-0001")
    assert (shown["worst"]["name"], shown["worst"]["score"], shown["answer"]) == ("deep", 9.1, "affected")
    assert (shown["packages_count"], shown["files_count"]) == (3, 5), "tool takes every web, what is apart stays apart"


async def test_what_is_hidden_cannot_come_along_nor_what_needs_it(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.upload("team", "app", depends=["web"], **PURL)
    await house.upload("team", "web", "1.0", depends=["old"], **PURL)
    await house.upload("team", "web", "2.0", **PURL)
    await house.upload("team", "old", **PURL)
    await cover(db, "PyPI")
    await found(db, await know(db, "CVE-2024-0001", 98), "old", "1.0")
    await found(db, await know(db, "CVE-2024-0002", 50), "web", "1.0")
    assert (await closure(house, "app"))["worst"]["name"] == "old"
    await hide(house, "old", "1.0")
    shown = await closure(house, "app")
    assert (shown["worst"], shown["answer"], shown["files_count"]) == (None, "not_affected", 1)
    assert shown["items"][0]["newest"]["version"] == "2.0"


async def test_what_nobody_knows_leaves_the_answer_open(house: House) -> None:
    await house.channel("team")
    await house.upload("team", "app", depends=["in-house"], **PURL)
    await house.upload("team", "in-house")
    await cover(house.services.db, "PyPI")
    assert (await closure(house, "app"))["answer"] == "unknown"
    assert (await closure(house, "in-house"))["answer"] == "not_affected", "it needs nothing"
    missing = await house.admin.get("/api/channels/team/artifacts/conda/app/closure?ckey=noarch/other-1-0.conda")
    assert missing.status == 404
    target = "/api/channels/team/artifacts/conda/app/closure?ckey=noarch/app-1.0-0.conda"
    assert (await house.as_("outsider").get(target)).status == 403
