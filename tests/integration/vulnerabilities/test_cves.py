"""`/api/cves`: every filter, order and page, the record, and the files with their statuses, looked at from outside."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from packhouse.security.vulnerabilities.advisory import Vector
from tests.kit.calls import read
from tests.kit.findings import found, know, say
from tests.kit.house import House

V2 = Vector("2.0", "AV:N/AC:L/Au:N/C:P/I:N/A:N", 50)
V3 = Vector("3.1", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:L/A:N", 82)
V4 = Vector("4.0", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93)


async def ids(house: House, query: str = "") -> list[str]:
    return [one["id"] for one in (await read(house.admin, f"/api/cves?{query}"))["items"]]


async def known(house: House) -> None:
    db = house.services.db
    await know(db, "CVE-2024-0001", 98, published="2024-01-01", modified="2024-05-01", aliases=["GHSA-aaaa"])
    await know(db, "CVE-2024-0002", 70, published="2024-02-01", modified="2024-04-01", exploited=True)
    await know(db, "CVE-2024-0003", 69, published="2024-03-01", summary="100% of_all Überlauf")
    await know(db, "CVE-2024-0004", None, published="2024-04-01", withdrawn="2024-06-01")
    await know(db, "MAL-2024-1", None, kind="malware", published="2024-05-01")
    await say(db, "CVE-2024-0001", "django", "cleared", at="2026-02-01")


ALL = ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004", "MAL-2024-1"]


FILTERS: list[tuple[str, set[str]]] = [
    ("", {*ALL}),
    ("score_from=7", {ALL[0], ALL[1]}),
    ("score_from=6.95", {ALL[0], ALL[1]}),
    ("score_to=7.0", {ALL[1], ALL[2]}),
    ("score_to=6.99", {ALL[2]}),
    ("score_from=9.8&score_to=9.8", {ALL[0]}),
    ("cve=cve-2024-000", {*ALL[:4]}),
    ("cve=0003", {ALL[2]}),
    ("cve=_", set()),
    ("q=100%25", {ALL[2]}),
    ("q=of_all", {ALL[2]}),
    ("q=mal-", {ALL[4]}),
    ("kind=malware", {ALL[4]}),
    ("exploited=true", {ALL[1]}),
    ("exploited=false", {*ALL} - {ALL[1]}),
    ("curated=true", {ALL[0]}),
    ("curated_from=2026-02-01&curated_to=2026-02-02", {ALL[0]}),
    ("curated_to=2026-01-31", set()),
    ("curated_to=2026-02-01T00:00:00Z", set()),
    ("curated_to=2026-02-01", {ALL[0]}),
    ("withdrawn=true", {ALL[3]}),
    ("published_from=2024-02-01&published_to=2024-03-31", {ALL[1], ALL[2]}),
    ("modified_from=2024-04-15", {ALL[0]}),
    ("affecting=true", set()),
]


async def test_each_filter_chooses_what_it_says(house: House) -> None:
    await known(house)
    for query, expected in FILTERS:
        page = await read(house.admin, f"/api/cves?{query}")
        assert {one["id"] for one in page["items"]} == expected, query
        assert page["total_count"] == len(expected), query


async def test_orders_and_pages_agree(house: House) -> None:
    await known(house)
    assert await ids(house) == [ALL[0], ALL[4], ALL[3], ALL[2], ALL[1]], "judged last, then published last"
    assert await ids(house, "sort=-score") == [ALL[0], ALL[1], ALL[2], ALL[4], ALL[3]]
    assert await ids(house, "sort=name") == sorted(ALL)
    assert (await ids(house, "sort=-modified"))[:2] == ALL[:2]
    whole = await ids(house, "sort=published")
    paged = [one for at in range(6) for one in await ids(house, f"sort=published&limit=1&offset={at}")]
    assert paged == whole
    assert await read(house.admin, "/api/cves?limit=0") == {"items": [], "total_count": 5}
    assert (await read(house.admin, "/api/cves?offset=3&limit=1"))["total_count"] == 5


SENSELESS = (
    "score_from=11", "score_to=high", "score_from=nan", "score_to=-1", "sort=colour", "sort=-latest", "limit=-1",
     "published_from=soon", "status=fine", "kind=other", "exploited=perhaps",
)  # fmt: skip


async def test_what_cannot_be_understood_is_refused(house: House) -> None:
    for query in SENSELESS:
        answer = await house.admin.get(f"/api/cves?{query}")
        assert (answer.status, answer.json()["code"]) == (400, "bad_request"), query


async def test_the_record_has_all_ratings_and_what_old_clients_read(house: House) -> None:
    db = house.services.db
    vectors = (V2, V3, V4)
    await know(
        db, "CVE-2024-0007", 93, vectors=vectors, aliases=["GHSA-x", "PYSEC-7"], published="2024-01-02T03:04:05Z"
    )
    shown = await read(house.admin, "/api/cves/CVE-2024-0007")
    assert (shown["score"], shown["severity"]) == (9.3, "critical")
    assert [shown[f"cvssv{edition}_score"] for edition in (2, 3, 4)] == [5.0, 8.2, 9.3]
    assert [one["version"] for one in shown["vectors"]] == ["2.0", "3.1", "4.0"]
    assert shown["cvssv2"]["severity"] == "MEDIUM"
    assert shown["cvssv2"]["cvssV2"]["confidentialityImpact"] == "PARTIAL"
    assert shown["cvssv3"]["cvssV3"] == {
        "version": "3.1", "vectorString": V3.vector, "attackVector": "NETWORK", "attackComplexity": "LOW",
        "privilegesRequired": "NONE", "userInteraction": "REQUIRED", "scope": "CHANGED",
        "confidentialityImpact": "HIGH", "integrityImpact": "LOW", "availabilityImpact": "NONE",
        "baseScore": 8.2, "baseSeverity": "HIGH",
    }  # fmt: skip
    assert (shown["aliases"], shown["feeds"], shown["references"]) == (
        ["GHSA-x", "PYSEC-7"],
        ["ours"],
        ["https://example.org/a"],
    )
    assert shown["published_at"] == "2024-01-02T03:04:05.000Z"
    assert (shown["curated"], shown["status"], shown["packages_count"]) == (False, None, 0)
    assert (await read(house.admin, "/api/cves/cve-2024-0007"))["id"] == "CVE-2024-0007"
    for unknown in ("CVE-1999-0001", "a%0Ab", quote("'; DROP TABLE vulnerability")):
        assert (await house.admin.get(f"/api/cves/{unknown}")).status == 404


async def test_files_tell_their_status_by_whoever_has_the_last_word(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.channel("team/dev")
    for version, build in (("3.2.4", "py39_0"), ("3.2.4", "py310_0"), ("3.2.5", "py39_0"), ("4.0", "py39_0")):
        await house.upload("team", "django", version, build)
    await house.upload("team/dev", "django", "3.2.4", "py39_0")
    number = await know(db, "CVE-2021-35042", 98, aliases=["GHSA-xpfp"])
    await found(db, number, "django", "3.2.4", "3.2.5", fixed_in="3.2.6")
    await say(db, "GHSA-xpfp", "django", "mitigated", "==3.2.4 py39_*", note="patched")
    page = await read(house.admin, "/api/cves/CVE-2021-35042/files")
    assert page["total_count"] == 4
    told = {(one["parent_channel_name"], one["channel_name"], one["ckey"], one["cve_status"]) for one in page["items"]}
    assert told == {
        ("", "team", "noarch/django-3.2.4-py310_0.conda", "reported"),
        ("", "team", "noarch/django-3.2.4-py39_0.conda", "mitigated"),
        ("", "team", "noarch/django-3.2.5-py39_0.conda", "reported"),
        ("team", "dev", "noarch/django-3.2.4-py39_0.conda", "mitigated"),
    }
    one = next(one for one in page["items"] if one["cve_status"] == "mitigated")
    assert (one["note"], one["author"], one["fixed_in"], one["cve_score"]) == ("patched", "ann", "3.2.6", 9.8)
    shown = await read(house.admin, "/api/cves/CVE-2021-35042")
    assert (shown["status"], shown["statuses"]) == ("reported", {"mitigated": 2, "reported": 2})
    assert (shown["packages_count"], shown["files_count"]) == (1, 4)
    reported = await read(house.admin, "/api/cves/CVE-2021-35042/files?status=reported&limit=1&offset=1")
    assert (reported["total_count"], len(reported["items"])) == (2, 1)
    inside = await read(house.admin, "/api/cves/CVE-2021-35042/files?channel=team/dev")
    assert [one["channel_name"] for one in inside["items"]] == ["dev"]


async def test_a_status_chooses_among_all(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    for name in ("a", "b", "c"):
        await house.upload("team", name)
    for at, name in enumerate(("a", "b", "c", "nowhere"), 1):
        await found(db, await know(db, f"CVE-2024-000{at}"), name, "1.0")
    await say(db, "CVE-2024-0001", "a", "cleared")
    await say(db, "CVE-2024-0002", "b", "active", ">=2")
    await say(db, "CVE-2024-0004", "nowhere", "active")
    assert await ids(house, "status=cleared") == ["CVE-2024-0001"]
    assert await ids(house, "status=active") == []
    assert sorted(await ids(house, "status=reported")) == ["CVE-2024-0002", "CVE-2024-0003"]
    assert sorted(await ids(house, "affecting=true")) == [f"CVE-2024-000{at}" for at in (1, 2, 3)]


async def test_what_a_builder_says_counts_for_his_own_file(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    security: dict[str, Any] = {"info/security.json": b'{"vulns_cleared": [{"id": "CVE-2024-0001"}]}'}
    await house.upload("team", "a", info=security)
    await house.upload("team", "a", "1.0", "1")
    await found(db, await know(db, "CVE-2024-0001"), "a", "1.0")
    shown = await read(house.admin, "/api/cves/CVE-2024-0001")
    assert shown["statuses"] == {"cleared": 1, "reported": 1}
    assert await ids(house, "status=cleared") == ["CVE-2024-0001"]


async def test_of_malware_nobody_believes_who_built_it(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.upload("team", "a", info={"info/security.json": b'{"vulns_cleared": [{"id": "CVE-2024-0001"}]}'})
    await found(db, await know(db, "CVE-2024-0001", None, kind="malware"), "a", "1.0")
    assert (await read(house.admin, "/api/cves/CVE-2024-0001"))["statuses"] == {"reported": 1}


async def test_who_lacks_the_right_learns_nothing(house: House) -> None:
    await house.channel("secret", "private")
    await known(house)
    for target in ("/api/cves", "/api/cves/CVE-2024-0001", "/api/cves/CVE-2024-0001/files"):
        assert (await house.web.get(target)).status == 401
        assert (await house.as_("outsider").get(target)).status == 403
