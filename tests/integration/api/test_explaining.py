"""Explanations and simulations over the API: they say what the gate and the index do, before and after."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from packhouse.core.clock import DAY, to_iso
from packhouse.core.stopping import checkpoint
from packhouse.security.policies import simulate as difference
from packhouse.workflows.answering import simulating
from tests.kit.calls import call, read
from tests.kit.feeding import HIGH, LOW, osv
from tests.kit.house import House
from tests.kit.judging import advise, govern, judged, listed, status_of
from tests.kit.pythonindex import wheel_of

TEAM = "/api/channels/team"


async def filled(house: House, folder: Path) -> None:
    """A channel with a vulnerable package in three versions, one that needs the old ones, and others."""
    low = osv(2, "tame", severity=[{"type": "CVSS_V3", "score": LOW}])
    await advise(house.services, folder, osv(1, "lib", severity=[{"type": "CVSS_V3", "score": HIGH}]), low)
    await house.channel("team", owner="owner")
    for version in ("1.0", "1.10", "2.0"):
        await house.upload("team", "lib", version, depends=["python >=3.8"])
    await house.upload("team", "tame", depends=["python >=3.8"])
    await house.upload("team", "app", depends=["lib <2"])
    await house.upload("team", "suite", depends=["app"])
    await house.upload("team", "plain", kind="tar.bz2")
    await house.upload("team", "plain")
    await judged(house)


async def simulated(house: House, body: dict[str, Any], query: str = "") -> dict[str, Any]:
    answer = await call(house.as_("owner"), "POST", f"{TEAM}/simulate{query}", body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def test_a_file_is_explained_with_evidence_and_what_may_be_had_instead(house: House, tmp_path: Path) -> None:
    await filled(house, tmp_path)
    await govern(house, "team", cve_score=7)
    for name in ("noarch/lib-1.10-0.conda", "lib-1.10-0.conda"):
        found = await read(house.web, f"{TEAM}/explain?file={name}")
        [file] = found["items"]
        assert (file["ckey"], file["seen"], file["hidden_by"], file["settled"]) == (
            "noarch/lib-1.10-0.conda", False, "cve", True,
        )  # fmt: skip
        [asked] = [one for one in file["asked"] if one["answer"] == "hides"]
        assert asked["evidence"]["cves"] == [{"cve": "CVE-2024-0001", "score": 9.8, "status": "reported"}]
        assert file["since"] is not None and file["until"] is None
        assert found["newest"] == {"ckey": "noarch/lib-2.0-0.conda", "version": "2.0", "build": "0"}
    whole = await read(house.web, f"{TEAM}/explain?package=Lib")
    assert [(one["version"], one["seen"]) for one in whole["items"]] == [
        ("2.0", True), ("1.10", False), ("1.0", False),
    ]  # fmt: skip
    page = await read(house.web, f"{TEAM}/explain?package=lib&limit=1&offset=2")
    assert ([one["version"] for one in page["items"]], page["total_count"]) == (["1.0"], 3)
    again = await read(house.web, f"{TEAM}/explain?file=lib-1.10-0.conda")
    assert again["items"] == found["items"] and again["ruleset"] == found["ruleset"], "it can be replayed"
    counts = await read(house.as_("owner"), f"{TEAM}/explain/counts")
    assert {(one["rule"], one["files"]) for one in counts["items"]} == {
        (None, 5), ("cve", 2), ("legacy_packages", 1),
    }  # fmt: skip


async def test_a_waiver_and_what_waits_to_be_judged_are_told(house: House, tmp_path: Path) -> None:
    await filled(house, tmp_path)
    await govern(house, "team", cve_score=7)
    until = to_iso(await house.services.db.now() + DAY) or ""
    body = {"name": "lib", "spec": "1.0", "reason": "Needed.", "until": until}
    made = await call(house.admin, "POST", "/api/waivers", body)
    assert made.status == 201
    [file] = (await read(house.web, f"{TEAM}/explain?file=lib-1.0-0.conda"))["items"]
    assert (file["seen"], file["settled"], file["waived_by"]) == (False, False, made.json()["id"])
    await judged(house)
    [file] = (await read(house.web, f"{TEAM}/explain?file=lib-1.0-0.conda"))["items"]
    assert (file["seen"], file["settled"], file["waived_by"]) == (True, True, made.json()["id"])
    assert file["until"] == until


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?file=a&package=b", 400), ("?file=none-1.0-0.conda", 404), ("?file=linux-64/lib-1.0-0.conda", 404),
     ("?file=nonsense", 404), ("?package=none", 404), ("?package=lib&family=cobol", 400), ("?file=%00", 400)],
)  # fmt: skip
async def test_what_cannot_be_explained_is_refused(house: House, tmp_path: Path, query: str, status: int) -> None:
    await filled(house, tmp_path)
    answer = await house.web.get(f"{TEAM}/explain{query}")
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    "rules",
    [
        {"cve_score": 7},
        {"cve_score": "1.0", "cve_score_comparator": "<"},
        {"cve_score": 7, "whole_closure": True},
        {"package_name": ["suite"], "include_dependencies": True},
        {"package_name": "plain, tame", "keep_legacy_packages": True},
        {"exclude_package_name": "lib >=2", "latest_only": True},
        {"exclude_uncurated_cve_packages": True, "unknown_vulnerabilities": "hide"},
        {},
    ],
)
async def test_a_simulation_is_what_then_happens(house: House, tmp_path: Path, rules: dict[str, Any]) -> None:
    await filled(house, tmp_path)
    await govern(house, "team", exclude_package_name=["tame"])
    before = await listed(house, "team")
    found = await simulated(house, rules)
    assert await listed(house, "team") == before, "nothing was changed"
    made = await call(house.admin, "POST", "/api/policies", {"name": "tried", **rules, "channel_name": "team"})
    assert made.status == 201, made.body
    tried = await call(house.admin, "POST", f"{TEAM}/simulate", {"policy_id": made.json()["id"]})
    assert tried.json() == found, "of a policy that is stored, and not obeyed yet"
    await judged(house)
    after = await listed(house, "team")

    def names(rows: list[dict[str, Any]]) -> set[str]:
        return {row["ckey"].partition("/")[2] for row in rows}

    assert names(found["disappears"]) == before - after
    assert names(found["comes_back"]) == after - before
    counts = found["counts"]
    assert (counts["seen_now"], counts["seen_then"]) == (len(before), len(after))
    assert (counts["disappears"], counts["comes_back"]) == (len(before - after), len(after - before))
    for row in found["disappears"]:
        assert await status_of(house, "team", row["ckey"].partition("/")[2]) == 403
        [file] = (await read(house.web, f"{TEAM}/explain?file={row['ckey']}"))["items"]
        assert row["rule"] in [one["rule"] for one in file["asked"] if one["answer"] == "hides"]


async def test_a_simulation_tells_what_can_no_longer_be_installed_and_which_cves_remain(
    house: House, tmp_path: Path
) -> None:
    await filled(house, tmp_path)
    found = await simulated(house, {"cve_score": 7, "keep_legacy_packages": True})
    assert found["counts"] == {
        "files": 8, "seen_now": 8, "seen_then": 6, "disappears": 2, "comes_back": 0, "unsolvable": 2,
        "uninstallable": 2, "remaining": 1,
    }  # fmt: skip
    assert {(one["name"], one["missing"]) for one in found["uninstallable"]} == {("app", "lib <2"), ("suite", "app")}
    assert {one["ckey"] for one in found["unsolvable"]} == {"noarch/app-1.0-0.conda", "noarch/suite-1.0-0.conda"}
    [remains] = found["remaining"]
    assert (remains["cve"], remains["score"], remains["files"]) == ("CVE-2024-0002", 1.8, {"reported": 1})
    assert {(one["rule"], "CVE-2024-0001" in one["text"]) for one in found["disappears"]} == {("cve", True)}
    assert "Files with vulnerabilities are kept only if their highest score is <= 7.0." in found["summary"]
    without = await simulated(house, {"cve_score": 7, "dependencies": False})
    assert without["counts"]["uninstallable"] == 0
    page = await simulated(house, {"cve_score": 7}, "?limit=1&offset=1")
    assert (len(page["disappears"]), page["counts"]["disappears"]) == (1, 3)


async def test_the_lines_of_a_simulation_are_all_there_is(house: House, tmp_path: Path) -> None:
    await filled(house, tmp_path)
    whole = await simulated(house, {"cve_score": 7})
    answer = await call(house.as_("owner"), "POST", f"{TEAM}/simulate/lines", {"cve_score": 7})
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, "application/x-ndjson")
    first, *lines = [json.loads(line) for line in answer.body.splitlines()]
    assert first == {"counts": whole["counts"]}
    for name in ("disappears", "comes_back", "unsolvable", "uninstallable", "remaining"):
        assert [line[name] for line in lines if name in line] == whole[name]


async def test_who_may_not_edit_a_channel_simulates_nothing_there(house: House, tmp_path: Path) -> None:
    await filled(house, tmp_path)
    outsider = house.as_("outsider")
    assert (await call(outsider, "POST", f"{TEAM}/simulate", {})).status == 403
    assert (await call(outsider, "POST", f"{TEAM}/simulate/lines", {})).status == 403
    assert (await outsider.get(f"{TEAM}/explain/counts")).status == 403
    refused = await call(house.as_("owner"), "POST", f"{TEAM}/simulate", {"cve_score": 70})
    assert (refused.status, refused.json()["details"]["field"]) == (400, "cve_score")
    missing = await call(house.admin, "POST", f"{TEAM}/simulate", {"policy_id": "none"})
    assert missing.status == 404


async def test_a_file_says_of_which_family_it_is(house: House) -> None:
    await house.channel("team")
    filename, content = wheel_of("tea")
    assert (await house.admin.put(f"/api/repo/team/simple/tea/{filename}", content)).status == 201
    await judged(house)
    for name in (f"simple/{filename}", filename):
        [file] = (await read(house.web, f"{TEAM}/explain?file={name}"))["items"]
        assert file["ckey"] == f"simple/{filename}"
    body = {"channel": "team", "ckey": f"simple/{filename}", "reason": "Odd."}
    assert (await call(house.admin, "POST", "/api/quarantine", body)).status == 200
    for query in ("explain?package=tea&family=pypi", "explain?file=tea&family=pypi"):
        wrong = await house.web.get(f"{TEAM}/{query}")
        assert (wrong.status, wrong.json()["code"]) == (400, "bad_request")
        assert "conda, python" in wrong.json()["message"]
    nothing = await house.web.get(f"{TEAM}/artifacts/pypi/tea")
    assert nothing.status == 404 and "conda, python" in nothing.json()["message"]


async def test_one_simulation_runs_at_a_time_and_none_for_ever(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(house, tmp_path)
    begun, go = threading.Event(), threading.Event()

    def slow(*given: Any) -> Any:
        begun.set()
        while not go.wait(0.01):
            checkpoint()
        return difference.simulate(*given)

    monkeypatch.setattr(simulating, "simulate", slow)
    first = asyncio.ensure_future(call(house.as_("owner"), "POST", f"{TEAM}/simulate", {}))
    assert await asyncio.to_thread(begun.wait, 10)
    second = await call(house.as_("owner"), "POST", f"{TEAM}/simulate/lines", {})
    assert (second.status, second.json()["code"]) == (503, "try_later") and second.headers["retry-after"]
    assert (await read(house.web, f"{TEAM}/explain?package=lib"))["total_count"] == 3, "others are served"
    go.set()
    assert (await first).status == 200
    go.clear()
    monkeypatch.setattr(simulating, "SECONDS", 0.05)
    late = await call(house.as_("owner"), "POST", f"{TEAM}/simulate", {})
    assert (late.status, late.json()["code"]) == (400, "bad_request") and "given up" in late.json()["message"]
    go.set()
    monkeypatch.setattr(simulating, "SECONDS", 60)
    assert await simulated(house, {}), "and then the next"


async def test_many_specs_of_one_package_are_refused(house: House, tmp_path: Path) -> None:
    await filled(house, tmp_path)
    names = [f"name{number}" for number in range(2000)]
    await simulated(house, {"exclude_package_name": [*names, *(f"lib =={number}" for number in range(100))]})
    body = {"exclude_package_name": [f"lib =={number}" for number in range(101)]}
    answer = await call(house.as_("owner"), "POST", f"{TEAM}/simulate", body)
    assert answer.status == 400 and "about lib" in answer.json()["message"], answer.body
