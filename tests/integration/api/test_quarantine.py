"""Bytes that somebody holds back: one act, for every channel, taken back by one more; and who has them already."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.kit.calls import call, read
from tests.kit.condapkg import make_conda
from tests.kit.feeding import waiting
from tests.kit.house import House
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

URL = "/api/quarantine"
FILE = "noarch/one-1.0-0.conda"
DATA = make_conda("one", "1.0")
SHA = hashlib.sha256(DATA).hexdigest()


async def put(house: House, **what: Any) -> Any:
    answer = await call(house.admin, "POST", URL, {"reason": "It phones home.", **what})
    assert answer.status == 200, answer.body
    return answer.json()


async def kinds(house: House) -> list[str]:
    found = await read(house.admin, "/api/events")
    return [event["event_type"] for event in found["items"] if event["event_type"].startswith("file_")]


async def upload(house: House, channel: str) -> None:
    assert (await house.admin.put(f"/api/repo/{channel}/{FILE}", DATA)).status == 201
    await waiting(house.services)


async def test_one_act_for_every_channel_tells_who_has_it(house: House) -> None:
    for channel in ("team", "team/dev", "other"):
        await house.channel(channel)
        await upload(house, channel)
    for who in (house.as_("owner"), house.as_("owner"), house.web):
        assert (await who.get(f"/api/repo/team/{FILE}")).status == 200
    assert (await house.as_("outsider").get(f"/api/repo/other/{FILE}")).status == 200
    await house.server._counter.fold()
    case = await put(house, channel="team/dev", ckey=FILE)
    assert (case["sha256"], case["family"], case["name"], case["filename"]) == (SHA, "conda", "one", "one-1.0-0.conda")
    assert (case["reason"], case["by"]) == ("It phones home.", "admin")
    assert [(one["channel"], one["ckey"], one["version"]) for one in case["files"]] == [
        ("other", FILE, "1.0"), ("team", FILE, "1.0"), ("team/dev", FILE, "1.0"),
    ]  # fmt: skip
    found = {(one["username"], one["channel"], one["count"]) for one in case["downloads"]}
    assert found == {("owner", "team", 2), (None, "team", 1), ("outsider", "other", 1)}
    assert case["downloads_count"] == 3
    assert await waiting(house.services) == {("conda", "one")}
    again = await put(house, sha256=SHA.upper(), reason="Other.")
    assert again == case, "what is there stays as it is"
    assert await waiting(house.services) == set()
    assert await read(house.admin, f"{URL}/{SHA}") == case
    listed = await read(house.admin, URL)
    assert listed == {"items": [{key: case[key] for key in listed["items"][0]}], "total_count": 1}
    assert (await call(house.admin, "DELETE", f"{URL}/{SHA}")).status == 204
    assert await waiting(house.services) == {("conda", "one")}
    assert (await read(house.admin, URL))["total_count"] == 0
    assert (await call(house.admin, "DELETE", f"{URL}/{SHA}")).status == 404
    assert await kinds(house) == ["file_released", "file_quarantined"]


async def test_the_next_request_is_refused_and_after_release_served(house: House) -> None:
    await house.channel("team")
    await upload(house, "team")

    async def seen() -> tuple[int, bool]:
        index = (await house.web.get("/api/repo/team/noarch/repodata.json")).json()
        return (await house.web.get(f"/api/repo/team/{FILE}")).status, bool(index["packages.conda"])

    assert await seen() == (200, True)
    await put(house, sha256=SHA)
    assert await seen() == (403, False)
    assert (await call(house.admin, "DELETE", f"{URL}/{SHA}")).status == 204
    assert await seen() == (200, True)


async def test_bytes_that_nobody_has_yet(house: House) -> None:
    case = await put(house, sha256=SHA)
    assert (case["name"], case["files"], case["downloads"]) == ("", [], [])
    await house.channel("team")
    assert (await house.admin.put(f"/api/repo/team/{FILE}", DATA)).status == 201
    await waiting(house.services)
    case = await read(house.admin, f"{URL}/{SHA}")
    assert [one["channel"] for one in case["files"]] == ["team"]
    assert (await call(house.admin, "DELETE", f"{URL}/{SHA}")).status == 204
    assert await waiting(house.services) == {("conda", "one")}


async def test_a_file_that_was_not_fetched_is_known_by_what_its_source_promises(house: House) -> None:
    here = await house.channel("team")
    source = CondaSource()
    ckey, bare = source.add("two"), source.add("three", sha256=None)
    async with Upstream(source.files()) as up:
        mirror = await add_mirror(house.services, here, up.url, mode="passive")
        await run_and_wait(house.services, mirror)
        await house.caught_up()
        await waiting(house.services)
        case = await put(house, channel="team", ckey=ckey)
        assert case["sha256"] == source.records["noarch"]["two-1.0-0.conda"]["sha256"]
        assert [one["ckey"] for one in case["files"]] == [ckey]
        assert await waiting(house.services) == {("conda", "two")}
        refused = await call(house.admin, "POST", URL, {"reason": "x", "channel": "team", "ckey": bare})
        assert refused.status == 409 and "not fetched" in refused.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x"},
        {"reason": "x", "sha256": "abc"},
        {"reason": "x", "sha256": SHA, "channel": "team", "ckey": FILE},
        {"reason": "x", "channel": "team"},
        {"reason": " ", "sha256": SHA},
        {"reason": "x" * 2001, "sha256": SHA},
        {"sha256": SHA},
        {"reason": "x", "channel": "team", "ckey": "noarch/absent.conda"},
        {"reason": "x", "channel": "nowhere", "ckey": FILE},
        {"reason": "x", "channel": "team", "ckey": FILE, "family": "rpm"},
    ],
)
async def test_what_is_no_file_is_refused(house: House, body: dict[str, str]) -> None:
    await house.channel("team")
    await upload(house, "team")
    answer = await call(house.admin, "POST", URL, body)
    assert answer.status in (400, 404) and answer.json()["message"], answer.body
    assert (await read(house.admin, URL))["total_count"] == 0


async def test_only_those_with_the_right_may(house: House) -> None:
    await put(house, sha256=SHA)
    for who in (house.as_("owner"), house.web):
        for method, target, body in (
            ("GET", URL, None),
            ("GET", f"{URL}/{SHA}", None),
            ("POST", URL, {"reason": "x", "sha256": SHA}),
            ("DELETE", f"{URL}/{SHA}", None),
        ):
            assert (await call(who, method, target, body)).status in (401, 403), (method, target)
