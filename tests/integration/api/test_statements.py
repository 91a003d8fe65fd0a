"""What users decide about vulnerabilities in files: made, listed, changed, taken back; and it outlives every feed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packhouse.core.clock import to_iso
from tests.kit.calls import call, read
from tests.kit.condapkg import make_conda
from tests.kit.feeding import LOW, add_feed, lines, osv, take, waiting
from tests.kit.house import House

URL = "/api/statements"
SHA = "ab" * 32


def decision(**more: Any) -> dict[str, Any]:
    """A decision about numpy."""
    return {"cve": "CVE-2024-0001", "name": "numpy", "spec": "<2", "status": "cleared", "note": "No.", **more}


async def decided(house: House, **more: Any) -> dict[str, Any]:
    """Decide and return the statement as it is shown."""
    answer = await call(house.admin, "POST", URL, decision(**more))
    assert answer.status == 200, answer.body
    [found] = answer.json()["items"]
    return dict(found)


async def listed(house: House, query: str = "") -> list[dict[str, Any]]:
    found = await read(house.admin, f"{URL}?{query}")
    assert found["total_count"] == len(found["items"])
    return list(found["items"])


async def curations(house: House) -> list[dict[str, Any]]:
    """Return the data of the events about decisions, the latest first."""
    found = await read(house.admin, "/api/events?type=cve_curated")
    return [event["data"] | event["meta"] for event in found["items"]]


async def curated_at(house: House, key: str = "CVE-2024-0001") -> int | None:
    found: int | None = await house.services.db.fetch_value(
        "SELECT curated_at FROM vulnerability WHERE key = :key", key=key
    )
    return found


async def test_a_decision_stands_until_it_is_taken_back(house: House) -> None:
    made = await decided(house)
    assert made == {
        "id": made["id"], "cve": "CVE-2024-0001", "family": "conda", "name": "numpy", "spec": "<2",
        "sha256": "", "status": "cleared", "note": "No.", "author": "admin", "origin": "user", "at": made["at"],
    }  # fmt: skip
    assert await waiting(house.services) == {("conda", "numpy")}
    assert await decided(house) == made, "the same again changes nothing"
    assert await waiting(house.services) == set()
    assert len(await curations(house)) == 1
    changed = await decided(house, status="mitigated", note="Patched.")
    assert (changed["id"], changed["status"], changed["note"]) == (made["id"], "mitigated", "Patched.")
    assert changed["at"] >= made["at"]
    edited = await call(house.admin, "PUT", f"{URL}/{made['id']}", {"status": "disputed"})
    assert [(one["status"], one["note"]) for one in edited.json()["items"]] == [("disputed", "Patched.")]
    assert await waiting(house.services) == {("conda", "numpy")}
    back = await call(house.admin, "PUT", f"{URL}/{made['id']}", {"status": "reported"})
    assert back.json() == {"items": [], "total_count": 0}
    assert await listed(house) == []
    assert await waiting(house.services) == {("conda", "numpy")}
    events = await curations(house)
    assert [(one["added"], one["changed"], one["removed"]) for one in events] == [
        (0, 0, 1), (0, 1, 0), (0, 1, 0), (1, 0, 0),
    ]  # fmt: skip
    assert {one["actor"] for one in events} == {"admin"}
    assert events[0]["statements"][0]["status"] == "reported"
    assert (await call(house.admin, "DELETE", f"{URL}/{made['id']}")).status == 404


async def test_one_file_one_spec_and_every_file_are_three_decisions(house: House) -> None:
    for more in ({}, {"spec": ""}, {"spec": "", "sha256": SHA.upper(), "status": "active"}):
        await decided(house, **more)
    assert [(one["spec"], one["sha256"], one["status"]) for one in await listed(house)] == [
        ("<2", "", "cleared"), ("", "", "cleared"), ("", SHA, "active"),
    ]  # fmt: skip
    assert len(await listed(house, f"sha256={SHA}")) == 1
    assert len(await listed(house, "status=cleared&name=NumPy&author=admin&origin=user")) == 2
    assert await listed(house, "name=scipy") == await listed(house, "origin=feed") == []
    assert (await call(house.admin, "DELETE", f"{URL}/{(await listed(house))[0]['id']}")).status == 204
    assert len(await listed(house, "cve=cve-2024-0001")) == 2
    page = await read(house.admin, f"{URL}?limit=1&offset=1")
    assert ([one["sha256"] for one in page["items"]], page["total_count"]) == ([SHA], 2)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"status": "fine"}, "status"),
        ({"name": "numpy >=1"}, "no package name"),
        ({"name": "num*"}, "no package name"),
        ({"spec": "<<2"}, "spec"),
        ({"spec": ">=banana"}, "no version"),
        ({"spec": "1.0 0 junk"}, "build '0 junk'"),
        ({"spec": "<2[sha256=aa]"}, "spec"),
        ({"sha256": SHA}, "spec"),
        ({"spec": "", "sha256": "abc"}, "sha256"),
        ({"cve": "CVE\n1"}, "cve"),
        ({"cve": " "}, "cve"),
        ({"note": "x" * 10_001}, "note"),
        ({"note": "\ud800"}, ""),
        ({"family": "rpm"}, "family"),
        ({"until": "2030"}, "until"),
    ],
)
async def test_what_cannot_be_obeyed_is_refused_with_all_that_came_with_it(
    house: House, more: dict[str, Any], why: str
) -> None:
    items = [decision(name="scipy"), decision(**more)]
    answer = await call(house.admin, "POST", f"{URL}/bulk", {"items": items})
    assert answer.status in (400, 415) and why in answer.json()["message"], answer.body
    assert await listed(house) == [] == await curations(house)


async def test_many_at_once_are_one_event(house: House) -> None:
    items = [decision(cve=f"CVE-2024-{number:04}") for number in range(1, 1001)]
    answer = await call(house.admin, "POST", f"{URL}/bulk", {"items": items})
    assert (answer.status, answer.json()["total_count"]) == (200, 1000)
    [event] = await curations(house)
    assert (event["added"], event["object"], len(event["statements"])) == (1000, "1000 vulnerabilities", 20)
    assert (await call(house.admin, "POST", f"{URL}/bulk", {"items": [*items, decision()]})).status == 400
    assert (await call(house.admin, "POST", f"{URL}/bulk", {"items": [items[0]] * 2})).status == 400
    ids = [one["id"] for one in answer.json()["items"]]
    assert (await call(house.admin, "POST", f"{URL}/withdraw", {"ids": [*ids, 0]})).status == 404
    taken = [*items[:999], decision(cve="CVE-2024-1000", status="reported")]
    answer = await call(house.admin, "POST", f"{URL}/bulk", {"items": taken})
    assert answer.json()["total_count"] == 999
    assert (await call(house.admin, "POST", f"{URL}/withdraw", {"ids": ids[:999]})).json() == {"statements": 999}
    assert await listed(house) == []


async def test_a_decision_outlives_every_run_of_the_feed(house: House, tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(lines([osv(1, "numpy"), osv(2, "scipy")]))
    await add_feed(house.services, path.as_uri())
    await take(house.services)
    assert await curated_at(house) is None
    made = await decided(house, cve="pysec-1")
    assert made["cve"] == "CVE-2024-0001", "kept under the name all feeds share"
    assert to_iso(await curated_at(house)) == made["at"]
    for number in range(2):
        changed = osv(1, "numpy", severity=[{"type": "CVSS_V3", "score": LOW}], details=f"Other {number}")
        path.write_bytes(lines([changed, osv(2, "scipy")]))
        assert (await take(house.services)).progress.counts.changed == 1
        assert await listed(house) == [made]
        assert to_iso(await curated_at(house)) == made["at"]
    path.write_bytes(lines([osv(2, "scipy")]))
    await take(house.services, accept_shrink=True)
    assert await listed(house) == [made], "also of what no feed knows any more"
    path.write_bytes(lines([osv(1, "numpy"), osv(2, "scipy")]))
    await take(house.services)
    assert to_iso(await curated_at(house)) == made["at"]
    assert (await call(house.admin, "DELETE", f"{URL}/{made['id']}")).status == 204
    assert await curated_at(house) is None
    path.write_bytes(lines([osv(1, "numpy", details="Again"), osv(2, "scipy")]))
    await take(house.services)
    assert await curated_at(house) is None


async def test_what_feeds_say_is_listed_and_not_ours_to_change(house: House, tmp_path: Path) -> None:
    path = tmp_path / "curated.json"
    path.write_text(json.dumps([{"id": "CVE-2024-0001", "package": "numpy", "spec": "<2", "status": "active"}]))
    await add_feed(house.services, path.as_uri(), kind="curated")
    await take(house.services)
    await decided(house)
    theirs, ours = await listed(house, "name=numpy")
    assert (theirs["origin"], theirs["status"], ours["origin"]) == ("feed:ours", "active", "user")
    assert await listed(house, "origin=feed") == await listed(house, "origin=feed:ours") == [theirs]
    for method, body in (("PUT", {"status": "cleared"}), ("DELETE", None)):
        refused = await call(house.admin, method, f"{URL}/{theirs['id']}", body)
        assert refused.status == 409 and "feed:ours" in refused.json()["message"]
    both = {"ids": [ours["id"], theirs["id"]]}
    assert (await call(house.admin, "POST", f"{URL}/withdraw", both)).status == 409
    assert await listed(house) == [theirs, ours]


async def test_builders_statements_are_shown_and_only_shown(house: House) -> None:
    await house.channel("team")
    await house.channel("other")
    said = {"vulns_cleared": [{"id": "CVE-2024-0001", "comment": "Not built."}], "vulns_active": [{"id": "CVE-2024-2"}]}
    data = make_conda("numpy", "1.0", "0", "noarch", info={"info/security.json": json.dumps(said).encode()})
    for channel in ("team", "other"):
        assert (await house.admin.put(f"/api/repo/{channel}/noarch/numpy-1.0-0.conda", data)).status == 201
    await decided(house)
    ours, theirs = await listed(house, "name=numpy")
    assert (ours["origin"], theirs["origin"], theirs["id"]) == ("user", "builder", None)
    assert (theirs["cve"], theirs["status"], theirs["note"]) == ("CVE-2024-0001", "cleared", "Not built.")
    assert await listed(house, f"name=numpy&sha256={theirs['sha256']}") == [theirs]
    assert await listed(house, "name=numpy&origin=builder&status=cleared") == [theirs]
    assert await listed(house, "name=numpy&status=active") == []
    page = await read(house.admin, f"{URL}?name=numpy&limit=1&offset=1")
    assert (page["items"], page["total_count"]) == ([theirs], 2)
    assert await listed(house, "channel=team") == [ours]
    assert (await house.admin.get(f"{URL}?channel=nowhere")).status == 404


async def test_only_those_with_the_right_decide(house: House) -> None:
    made = await decided(house)
    for who in (house.as_("owner"), house.web):
        for method, target, body in (
            ("GET", URL, None),
            ("GET", "/api/cves/CVE-2024-0001/statements", None),
            ("POST", URL, decision(status="active")),
            ("PUT", f"{URL}/{made['id']}", {"status": "active"}),
            ("DELETE", f"{URL}/{made['id']}", None),
        ):
            assert (await call(who, method, target, body)).status in (401, 403), (method, target)
    found = await read(house.admin, "/api/cves/cve-2024-0001/statements")
    assert found["items"] == [made]


async def test_a_name_of_several_vulnerabilities_asks_which(house: House, tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(lines([osv(1, "numpy", aliases=["CVE-2024-0001", "CVE-2024-0002"])]))
    await add_feed(house.services, path.as_uri())
    await take(house.services)
    answer = await call(house.admin, "POST", URL, decision(cve="PYSEC-1"))
    assert answer.status == 409 and "CVE-2024-0001, CVE-2024-0002" in answer.json()["message"]


async def test_a_statement_on_a_python_package(house: House) -> None:
    made = await decided(house, family="python", name="My_Pkg", spec=">=2,<3")
    assert (made["name"], made["spec"]) == ("my-pkg", ">=2,<3")
    assert await waiting(house.services) == {("python", "my-pkg")}
    assert await listed(house, "family=python&name=my.pkg") == [made]
    refused = await call(house.admin, "POST", URL, decision(family="python", spec="<2 py39_*"))
    assert refused.status == 400 and "spec" in refused.json()["message"]
