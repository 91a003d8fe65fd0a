"""Mirrors over the management API, in both shapes of the wire."""

from __future__ import annotations

import json
from typing import Any

from tests.kit.calls import call, read
from tests.kit.condapkg import make_conda
from tests.kit.house import House
from tests.kit.upstream import Upstream

IN_CHANNEL = {
    "mirror_id", "mirror_name", "mirror_type", "mirror_mode", "state", "source_root", "proxy", "cron", "filters",
    "last_run_at", "created_at", "updated_at",
}  # fmt: skip
GLOBAL = {
    "id", "name", "type", "mode", "state", "source_root", "cron", "proxy", "filters", "last_run_at", "created_at",
    "updated_at", "channel", "sync_state",
}  # fmt: skip
COUNTS = {"active", "failed", "passive", "removed", "mirror_filtered", "channel_filtered"}


def index(*packages: bytes) -> bytes:
    """A repodata.json that lists one file for each package given, with made-up names."""
    listed = {
        f"p{number}-1-0.conda": {
            "name": f"p{number}", "version": "1", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch",
            "size": len(data), "sha256": f"{number:064x}", "md5": f"{number:032x}",
        }
        for number, data in enumerate(packages)
    }  # fmt: skip
    return json.dumps({"info": {"subdir": "noarch"}, "packages": {}, "packages.conda": listed}).encode()


def body(source: str, **more: Any) -> dict[str, Any]:
    return {
        "mirror_name": "forge",
        "source_root": source,
        "mirror_mode": "passive",
        "cron": "0 0 * * *",
        "mirror_type": "conda",
        "filters": {"subdirs": ["noarch"]},
        "run_now": False,
        **more,
    }


async def test_a_mirror_is_created_listed_run_stopped_edited_and_deleted(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    files = {"noarch/repodata.json": index(make_conda("p0", "1"))}
    async with Upstream(files) as upstream:
        made = await call(house.admin, "POST", "/api/channels/team/mirrors", body(upstream.url))
        assert made.status == 201, made.body
        assert set(made.json()) >= IN_CHANNEL
        assert (made.json()["state"], made.json()["mirror_mode"]) == ("stopped", "passive")
        assert "by its schedule" in made.json()["sync_state"]["current_step_description"]
        unscheduled = await call(
            house.admin, "PUT", f"/api/channels/team/mirrors/{made.json()['mirror_id']}", {"cron": ""}
        )
        assert "when it is restarted" in unscheduled.json()["sync_state"]["current_step_description"]
        one = f"/api/channels/team/mirrors/{made.json()['mirror_id']}"
        again = await call(house.admin, "POST", "/api/channels/team/mirrors", body(upstream.url))
        assert (again.status, again.json()["code"]) == (409, "conflict")

        dry = await call(house.admin, "POST", f"{one}/dry_run")
        assert (dry.status, dry.json()["add"]) == (200, ["noarch/p0-1-0.conda"])
        fresh = await call(
            house.admin, "POST", "/api/channels/team/subchannels/dev/mirrors/dry_run", body(upstream.url)
        )
        assert fresh.json()["counts"]["added"] == 1
        assert (await read(house.web, "/api/channels/team/artifacts"))["total_count"] == 0

        edited = await call(house.admin, "PUT", one, {"mirror_name": "forge2", "run_now": True})
        assert edited.status == 202
        assert (edited.json()["mirror_name"], edited.json()["state"]) == ("forge2", "pending")
        assert (edited.json()["cron"], edited.json()["filters"]) == ("", {"subdirs": ["noarch"]})
        same = await call(house.admin, "PUT", one, {**edited.json(), "run_now": True})
        assert (same.status, same.json()["options"]) == (202, edited.json()["options"]), "as shown, it can be sent back"
        ignored = await call(house.admin, "PUT", one, {"options": {"verify_tls": False}})
        assert (ignored.status, ignored.json()["code"]) == (400, "bad_request")
        stopped = await call(house.admin, "POST", f"{one}/stop_mirror_sync")
        assert (stopped.status, stopped.json()["state"]) == (200, "stopped")
        assert (await call(house.admin, "POST", f"{one}/stop_mirror_sync")).json()["code"] == "conflict"
        restarted = await call(house.admin, "POST", f"{one}/restart_mirror_sync")
        assert (restarted.status, restarted.json()["state"]) == (202, "pending")

        listed = await read(house.admin, "/api/channels/team/mirrors")
        assert (listed["total_count"], listed["items"][0]["mirror_name"]) == (1, "forge2")
        assert (await read(house.admin, "/api/channels/team"))["mirror_count"] == 1
        state = await read(house.admin, f"{one}/sync_state")
        assert set(state["count"]) >= COUNTS
        assert (await read(house.admin, f"{one}/conflicts")) == {"items": [], "total_count": 0}
        wrong = one.replace("/team/", "/team/subchannels/dev/")
        assert (await house.admin.get(wrong)).status == 404
        gone = await call(house.admin, "DELETE", one)
        assert (gone.status, gone.body) == (204, b"")
        assert (await house.admin.get(one)).status == 404


async def test_the_list_of_all_has_its_own_shape_and_takes_a_body(house: House) -> None:
    await house.channel("team")
    await house.channel("team/dev")
    for path, name in (("team", "b"), ("team/subchannels/dev", "a"), ("team", "c")):
        made = await call(
            house.admin, "POST", f"/api/channels/{path}/mirrors", body("https://conda.example.org/x", mirror_name=name)
        )
        assert made.status == 201, made.body
    everything = await read(house.admin, "/api/mirrors")
    assert everything["total_count"] == 3
    first, second, _ = everything["items"]
    assert set(first) == GLOBAL | {"subchannel"}
    assert set(second) == GLOBAL
    assert (first["channel"], first["subchannel"]) == ({"name": "team", "privacy": "public"}, {"name": "dev"})
    assert set(first["sync_state"]) >= {"last_ckey", "last_exception", "current_step_percentage", "count"}

    async def with_body(paging: bytes) -> list[str]:
        answer = await house.admin.request("GET", "/api/mirrors", {}, [paging])
        assert answer.status == 200, answer.body
        return [item["name"] for item in answer.json()["items"]]

    assert await with_body(b'{"limit": 100, "offset": 0, "sort": "mirror_name"}') == ["a", "b", "c"]
    assert await with_body(b'{"limit": 1, "offset": 1}') == ["b"]
    assert await with_body(b"not json at all") == ["a", "b", "c"]
    assert await with_body(b'{"limit": -1}') == ["a", "b", "c"]


async def test_only_administrators_see_or_make_mirrors(house: House) -> None:
    await house.channel("mine", "public", "owner")
    for client, status in ((house.web, 401), (house.as_("owner"), 403)):
        assert (await client.get("/api/channels/mine/mirrors")).status == status
        assert (await client.get("/api/mirrors")).status == status
        made = await call(client, "POST", "/api/channels/mine/mirrors", body("https://conda.example.org/x"))
        assert made.status == status
    assert "Administrators, and whose role has the right, may" in made.json()["message"], (
        "no owner is sent to the owner"
    )


async def test_ill_formed_mirrors_are_refused_by_name(house: House) -> None:
    await house.channel("team")
    good = "https://conda.example.org/x"
    for wrong in (
        {}, body("", mirror_name="x"), body("ftp://x"), body(good, cron="every day"), body(good, mirror_mode="lazy"),
        body(good, filters={"subdirs": ["linux"]}), body(good, filters={"unknown": 1}), body(good, filters=[]),
        body(good, mirror_name=""), body(good, mirror_name="a\u0000"), body(good, proxy=5), body(good, runnow=True),
    ):  # fmt: skip
        answer = await call(house.admin, "POST", "/api/channels/team/mirrors", wrong)
        assert answer.status == 400, (wrong, answer.body)
    for score in (10.1, -1, 7.05):
        wrong = body(good, filters={"cve_score_threshold": score})
        answer = await call(house.admin, "POST", "/api/channels/team/mirrors", wrong)
        assert (answer.status, "cve_score_threshold" in answer.json()["message"]) == (400, True)
    neutral = body(good, mirror_name="n", filters={"cve_score_threshold": None, "exclude_non_curated_cve": False})
    assert (await call(house.admin, "POST", "/api/channels/team/mirrors", neutral)).status == 201
    other = await call(house.admin, "POST", "/api/channels/team/mirrors", body(good, mirror_type="CRAN"))
    assert other.json()["code"] == "unsupported_type"
    secret = body("https://user:geheim@conda.example.org/x", credential={"token": "hush"})
    made = await call(house.admin, "POST", "/api/channels/team/mirrors", secret)
    for answer in (made, await house.admin.get("/api/mirrors"), await house.admin.get("/api/channels/team/history")):
        assert b"geheim" not in answer.body
        assert b"hush" not in answer.body
