"""What a channel, a package and a file have: lists, counts, and the three answers, by who looks."""

from __future__ import annotations

from typing import Any

from packhouse.catalog.vulnerabilities import affected
from tests.kit.calls import read
from tests.kit.findings import cover, found, know, say
from tests.kit.house import House

TEAM = "/api/channels/team"


def package(name: str, channel: str = TEAM) -> str:
    return f"{channel}/artifacts/conda/{name}"


async def hide(house: House, name: str, version: str) -> None:
    """Let a verdict of the ruleset that every channel has hide a version."""
    await house.services.db.write(
        lambda unit: unit.execute(
            "INSERT INTO verdict (record_id, content_id, ruleset_id, rule, since) SELECT record_id, content_id, 0,"
            " 'malware', 1 FROM entry JOIN record ON record.id = record_id WHERE record.name = :name"
            " AND version = :version",
            name=name,
            version=version,
        )
    )


async def test_a_channel_lists_only_what_its_own_files_have(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.channel("other")
    await house.upload("team", "a", "1.0")
    await house.upload("team", "a", "1.0", "1")
    await house.upload("team", "b", "1.0")
    await house.upload("other", "c", "1.0")
    one, two, three = [await know(db, f"CVE-2024-000{at}", score) for at, score in ((1, 50), (2, 98), (3, 70))]
    await found(db, one, "a", "1.0", "2.0")
    await found(db, one, "b", "1.0")
    await found(db, two, "b", "1.0")
    await found(db, three, "c", "1.0")
    await say(db, "CVE-2024-0002", "b", "mitigated")
    page = await read(house.admin, f"{TEAM}/cves?sort=-score")
    assert [(one["id"], one["packages_count"], one["files_count"], one["status"]) for one in page["items"]] == [
        ("CVE-2024-0002", 1, 1, "mitigated"),
        ("CVE-2024-0001", 2, 3, "reported"),
    ]
    assert page["total_count"] == 2
    for query, expected in {
        "score_from=9": ["CVE-2024-0002"], "status=reported": ["CVE-2024-0001"], "status=active": [],
        "cve=0001&status=reported": ["CVE-2024-0001"], "limit=1&offset=1&sort=name": ["CVE-2024-0002"],
    }.items():  # fmt: skip
        found_ = await read(house.admin, f"{TEAM}/cves?{query}")
        assert [one["id"] for one in found_["items"]] == expected, query


async def test_a_package_tells_its_headline_and_each_file_its_own(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    for version in ("1.0", "2.0", "3.0"):
        await house.upload("team", "a", version)
    worst, open_ = await know(db, "CVE-2024-0001", 98), await know(db, "CVE-2024-0002", 41)
    await cover(db, "PyPI")
    await found(db, worst, "a", "1.0", "2.0")
    await found(db, open_, "a", "1.0")
    await say(db, "CVE-2024-0001", "a", "cleared")
    page = await read(house.admin, f"{package('a')}/cves")
    assert (page["answer"], page["score"], page["severity"], page["status"]) == ("affected", 4.1, "medium", "reported")
    assert [one["id"] for one in page["items"]] == ["CVE-2024-0001", "CVE-2024-0002"]
    assert (page["cve_count"], page["total_count"]) == (2, 2)
    assert (await read(house.admin, package("a")))["cve_count"] == 2
    assert (await read(house.web, package("a")))["cve_count"] is None
    files = {one["version"]: one for one in (await read(house.admin, f"{package('a')}/files"))["items"]}
    told = {v: (f["cve_answer"], f["cve_score"], f["cve_status"], f["cve_count"]) for v, f in files.items()}
    assert told == {
        "1.0": ("affected", 9.8, "reported", 2),
        "2.0": ("not_affected", 9.8, "cleared", 1),
        "3.0": ("unknown", None, None, 0),
    }
    for version, one in files.items():
        of_file = await read(house.admin, f"{package('a')}/cves?ckey={one['ckey']}")
        assert (of_file["answer"], of_file["score"], of_file["status"], of_file["cve_count"]) == told[version]
        assert of_file["total_count"] == one["cve_count"]
    filtered = await read(house.admin, f"{package('a')}/cves?status=reported&score_to=5")
    assert [one["id"] for one in filtered["items"]] == ["CVE-2024-0002"]
    missing = await house.admin.get(f"{package('a')}/cves?ckey=noarch/a-9-0.conda")
    assert missing.status == 404
    assert (await house.admin.get(f"{package('nothing')}/cves")).status == 404


async def test_a_list_of_packages_counts_what_each_has_here(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.channel("other")
    for channel, name, version in (
        ("team", "a", "1.0"),
        ("team", "a", "2.0"),
        ("team", "b", "1.0"),
        ("other", "c", "1.0"),
    ):
        await house.upload(channel, name, version)
    await house.upload("other", "b", "2.0")
    one, two = await know(db, "CVE-2024-0001", 98), await know(db, "CVE-2024-0002", 41)
    await found(db, one, "a", "1.0", "2.0", "3.0")
    await found(db, two, "a", "1.0")
    await found(db, two, "b", "2.0")

    async def counted(caller: Any = house.admin, query: str = "") -> dict[str, Any]:
        await house.caught_up()
        page = await read(caller, f"{TEAM}/artifacts{query}")
        for one in page["items"] if caller is house.admin else ():
            assert (await read(caller, package(one["name"])))["cve_count"] == one["cve_count"]
        return {one["name"]: one["cve_count"] for one in page["items"]}

    assert await counted() == await counted() == {"a": 2, "b": 0}, "b is affected elsewhere"
    assert await counted(house.web) == {"a": None, "b": None}
    assert await counted(query="?q=b") == {"b": 0}
    await found(db, two, "b", "1.0")
    assert await counted() == {"a": 2, "b": 1}, "what became known counts in a page that was kept"
    await hide(house, "a", "1.0")
    assert await counted() == {"a": 2, "b": 1}, "a manager is told of hidden files, too"
    everyone = await affected.of_packages(db, 1, "conda", ["a", "b"], hidden=False)
    assert everyone == {"a": 1, "b": 1}


async def test_unknown_is_never_clean(house: House) -> None:
    db = house.services.db
    await house.channel("team")
    await house.upload("team", "numpy", depends=["python >=3.9"], purls=["pkg:pypi/numpy@1.0"])
    await house.upload("team", "in-house")

    async def answers() -> dict[str, Any]:
        return {name: (await read(house.admin, f"{package(name)}/cves"))["answer"] for name in ("numpy", "in-house")}

    assert await answers() == {"numpy": "unknown", "in-house": "unknown"}
    told = await read(house.admin, "/api/cves/knowledge")
    assert (told["as_of"], told["no_data_since"], told["message"][:16]) == (None, None, "There is no feed")
    await cover(db, "PyPI")
    assert await answers() == {"numpy": "not_affected", "in-house": "unknown"}
    told = await read(house.admin, "/api/cves/knowledge")
    assert told["as_of"] is not None
    assert told["waiting"] == []


async def test_a_feed_that_was_never_read_says_since_when_there_is_no_data(house: House) -> None:
    from packhouse.catalog.vulnerabilities import feeds

    spec = feeds.Spec("first", "file:///nowhere", enabled=False)
    await house.services.db.write(lambda unit: feeds.add(unit, spec, None))
    told = await read(house.admin, "/api/cves/knowledge")
    assert told["message"].startswith(f"No data since {told['no_data_since']}")
    assert (told["as_of"], told["waiting"]) == (None, ["first"])


async def test_hidden_files_count_for_managers_only_and_rights_are_asked(house: House) -> None:
    db = house.services.db
    await house.channel("team", "authenticated", "owner")
    await house.upload("team", "a", "1.0")
    await house.upload("team", "a", "2.0")
    await found(db, await know(db, "CVE-2024-0001"), "a", "1.0", "2.0")
    await hide(house, "a", "1.0")
    assert (await read(house.admin, f"{TEAM}/cves"))["items"][0]["files_count"] == 2
    page = await read(house.admin, "/api/cves/CVE-2024-0001/files")
    assert {(one["version"], one["hidden_by"]) for one in page["items"]} == {("1.0", "malware"), ("2.0", None)}
    for target in (f"{TEAM}/cves", f"{package('a')}/cves", "/api/cves/knowledge"):
        assert (await house.as_("outsider").get(target)).status == 403, target
        assert (await house.web.get(target)).status in (401, 404), target
    files = (await read(house.as_("outsider"), f"{package('a')}/files"))["items"]
    assert [sorted(key for key in one if key.startswith("cve_")) for one in files] == [[]]
