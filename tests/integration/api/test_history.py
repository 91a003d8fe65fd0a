"""What a channel's history and its package changes tell: everything that came, and everything that left."""

from __future__ import annotations

import json
from typing import Any

from tests.kit.calls import call, read
from tests.kit.house import House
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream


async def bulk(house: House, action: str, source: str, target: str, **item: Any) -> int:
    """Copy or move; return how many files the answer counts."""
    body = {"action": action, "items": [{"name": "hx", **item}], "target_channel": target}
    answer = await call(house.admin, "PUT", f"/api/channels/{source}/artifacts/bulk", body)
    assert answer.status == 202, answer.body
    return int(answer.json()["files"])


async def changes(house: House, channel: str, query: str = "") -> list[tuple[str, str, str]]:
    """Return (action, cause, version) of each change, newest first."""
    page = await read(house.admin, f"/api/channels/{channel}/changes{query}")
    assert page["total_count"] >= len(page["items"])
    return [(item["action"], item["cause"], item["ckey"].split("-")[1]) for item in page["items"]]


async def history(house: House, channel: str, who: str = "admin") -> list[dict[str, Any]]:
    found = (await read(house.as_(who), f"/api/channels/{channel}/history"))["items"]
    return [item for item in found if item["event_type"].startswith("artifact_")]


async def test_a_file_that_left_is_still_told_to_have_come(house: House) -> None:
    await house.channel("team")
    await house.channel("else")
    await house.upload("team", "hx", "1.0")
    await house.upload("team", "hx", "2.0")
    came = (await read(house.admin, "/api/channels/team/changes"))["items"]
    await house.remove("team", "hx")
    await house.upload("team", "hx", "1.0")
    assert await bulk(house, "move", "team", "else") == 1

    told = [
        ("removed", "removal", "1.0"), ("added", "upload", "1.0"),
        ("removed", "removal", "2.0"), ("removed", "removal", "1.0"),
        ("added", "upload", "2.0"), ("added", "upload", "1.0"),
    ]  # fmt: skip
    assert await changes(house, "team") == told
    assert await changes(house, "team", "?name=hx&limit=2&offset=3") == told[3:5]
    assert await changes(house, "team", "?cause=upload") == [told[1], *told[4:]]
    assert await changes(house, "else") == [("added", "copy", "1.0")]
    page = await read(house.admin, "/api/channels/team/changes?limit=0&cause=removal")
    assert page["total_count"] == 3
    assert (await read(house.admin, "/api/channels/team/changes"))["items"][4:] == came, "with its event and time"


async def test_what_a_mirror_brought_is_told_after_it_was_taken_out(house: House) -> None:
    source = CondaSource()
    source.add("hx", "1.0")
    here = await house.channel("team")
    async with Upstream(source.files()) as upstream:
        await run_and_wait(house.services, await add_mirror(house.services, here, upstream.url))
    await house.remove("team", "hx")
    assert await changes(house, "team") == [("removed", "removal", "1.0"), ("added", "mirror", "1.0")]


async def test_a_moved_file_is_in_the_history_of_both_channels(house: House) -> None:
    await house.channel("team", "public", "owner")
    await house.channel("hush", "private")
    await house.upload("team", "hx", "1.0")
    await house.upload("team", "hx", "2.0")
    await bulk(house, "copy", "team", "hush", ckey="noarch/hx-1.0-0.conda")
    assert [event["event_type"] for event in await history(house, "team")] == ["artifact_registered"] * 2
    await bulk(house, "move", "team", "hush", ckey="noarch/hx-2.0-0.conda")
    await bulk(house, "move", "team", "hush")

    rest, one, *_ = await history(house, "team")
    assert (rest["event_type"], one["event_type"]) == ("artifact_moved", "artifact_moved")
    assert one["meta"]["object"] == "team/noarch/hx-2.0-0.conda"
    assert (one["data"]["from"], one["data"]["to"]) == ("team", "hush")
    assert (await read(house.admin, "/api/channels/team/history?limit=1"))["total_count"] == 5
    assert "hush" not in json.dumps(await history(house, "team", "owner")), "the target's name is not theirs to know"
    assert [event["event_id"] for event in (await history(house, "hush"))[:2]] == [rest["event_id"], one["event_id"]]
    assert (await history(house, "hush"))[1]["meta"]["object"] == "hush/noarch/hx-2.0-0.conda"


async def test_a_copy_that_changes_nothing_is_no_event_and_counts_nothing(house: House) -> None:
    await house.channel("team")
    await house.channel("else")
    for version in ("1.0", "2.0"):
        await house.upload("team", "hx", version)
    assert await bulk(house, "copy", "team", "else", ckey="noarch/hx-1.0-0.conda") == 1
    assert await bulk(house, "copy", "team", "else") == 1, "the other one"
    assert await bulk(house, "copy", "team", "else") == 0
    events = await history(house, "else")
    assert [event["data"]["files"] for event in events] == [1, 1]
    assert events[0]["data"]["ckey"] == "noarch/hx-2.0-0.conda"
    assert await bulk(house, "move", "team", "else") == 2, "they leave, though they are there already"
    assert (await read(house.web, "/api/channels/else/artifacts/conda/hx/files"))["total_count"] == 2
    assert len(await changes(house, "else")) == 2
