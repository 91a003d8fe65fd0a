"""From a feed to what people read: real advisories through the real judge, with uploads before and after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import Tally
from packhouse.core.clock import from_iso
from tests.kit.calls import call, read
from tests.kit.feeding import LOW, osv
from tests.kit.house import House
from tests.kit.judging import advise, govern, judged

TEAM = "/api/channels/team"
LIB = f"{TEAM}/artifacts/conda/lib/cves"


async def put(house: House, *versions: str, name: str = "lib", **more: Any) -> None:
    for version in versions:
        await house.upload("team", name, version, depends=["python >=3.8"], **more)


async def test_what_a_feed_says_is_told_with_the_word_of_people_and_taken_back_with_it(
    house: House, tmp_path: Path
) -> None:
    await house.channel("team")
    await put(house, "1.0", "2.0")
    await advise(house.services, tmp_path, osv(1, "lib"), osv(2, "lib", severity=[{"type": "CVSS_V3", "score": LOW}]))
    await judged(house)
    await put(house, "1.5")
    await judged(house)
    page = await read(house.admin, LIB)
    assert (page["answer"], page["score"], page["status"], page["cve_count"]) == ("affected", 9.8, "reported", 2)
    assert {one["id"]: one["files_count"] for one in page["items"]} == {"CVE-2024-0001": 2, "CVE-2024-0002": 2}
    files = await read(house.admin, "/api/cves/PYSEC-1/files")
    assert {(one["version"], one["fixed_in"]) for one in files["items"]} == {("1.0", "2.0"), ("1.5", "2.0")}
    assert {one["evidence"] for one in files["items"]} == {"PyPI/lib <2.0"}
    decision = {"cve": "CVE-2024-0001", "name": "lib", "status": "mitigated", "spec": "1.5.*", "note": "ours"}
    assert (await call(house.admin, "POST", "/api/statements", decision)).status == 200
    await judged(house)
    shown = await read(house.admin, "/api/cves/CVE-2024-0001")
    assert (shown["statuses"], shown["curated"]) == ({"reported": 1, "mitigated": 1}, True)
    assert [one["id"] for one in (await read(house.admin, f"{TEAM}/cves?status=mitigated"))["items"]] == [shown["id"]]
    await advise(house.services, tmp_path, osv(3, "other"))
    await judged(house)
    page = await read(house.admin, LIB)
    assert (page["answer"], page["items"], page["score"]) == ("not_affected", [], None)


async def test_what_a_policy_hides_is_told_to_managers_and_its_downloads_outlast_it(
    house: House, tmp_path: Path
) -> None:
    await house.channel("team", "public", "owner")
    await put(house, "1.0")
    tally = Tally(await house.download("team", "lib", house.people["outsider"].principal.account_id or 0), 1, *_day())
    await house.services.db.write(lambda unit: downloads.add(unit, [tally]))
    await house.remove("team", "lib")
    await put(house, "1.1")
    await govern(house, "team", cve_score=7, cve_score_comparator="<=")
    await advise(house.services, tmp_path, osv(1, "lib"))
    await judged(house)
    files = await read(house.admin, "/api/cves/CVE-2024-0001/files")
    assert [(one["version"], one["hidden_by"] is not None) for one in files["items"]] == [("1.1", True)]
    reach = await read(house.admin, "/api/cves/CVE-2024-0001/blast_radius?since=2026-01-01")
    assert [(one["channel"], one["files_count"], one["hidden_count"]) for one in reach["channels"]] == [("team", 1, 1)]
    assert [one["username"] for one in reach["users"]] == ["outsider"], "the file is gone, and they still have it"


def _day() -> tuple[int, int]:
    return from_iso("2026-02-02T08:00:00Z"), from_iso("2026-02-02T09:00:00Z")
