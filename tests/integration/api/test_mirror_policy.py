"""A mirror has the policy of its channel: what that hides is neither shown nor downloaded, until it is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Mirror
from tests.kit.calls import call
from tests.kit.house import House
from tests.kit.judging import judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

TEAM = "/api/channels/team"
FREE, GPL = "free-1.0-0.conda", "copyleft-1.0-0.conda"


def downloaded(up: Upstream) -> set[str]:
    """Return the package files that were asked of the upstream."""
    return {request.path.rpartition("/")[2] for request in up.requests if request.path.endswith(".conda")}


async def filled(house: House, up: Upstream, **policy: Any) -> tuple[Mirror, str]:
    """Let a channel with a policy have an active mirror that ran once; return it, and the policy's id."""
    channel = await house.channel("team")
    made = await call(house.admin, "POST", "/api/policies", {"name": "ours", "channel_name": "team", **policy})
    assert made.status == 201, made.body
    await judged(house)
    mirror = await run_and_wait(house.services, await add_mirror(house.services, channel, up.url, mode="active"))
    assert mirror.state == "completed", mirror.progress.last_exception
    await judged(house)
    return mirror, made.json()["id"]


def source() -> CondaSource:
    found = CondaSource()
    found.add("free")
    found.add("copyleft", license="GPL-3.0-only")
    return found


async def test_an_active_mirror_downloads_only_what_may_be_seen_and_the_rest_once_it_may(house: House) -> None:
    async with Upstream(source().files()) as up:
        mirror, policy = await filled(house, up, license_not=["GPL3"])
        assert downloaded(up) == {FREE}
        assert await listed(house, "team") == {FREE}
        assert await status_of(house, "team", GPL) == 403
        assert downloaded(up) == {FREE}, "nobody may have it, so nobody asks for it"
        edited = await call(house.admin, "PUT", f"/api/policies/{policy}", {"license_not": ""})
        assert edited.status == 200
        await judged(house)
        assert await listed(house, "team") == {FREE, GPL}
        await run_and_wait(house.services, mirror)
        assert downloaded(up) == {FREE, GPL}
        counts = (await store.by_id(house.services.db, mirror.id)).progress.count  # type: ignore[union-attr]  # it is there
        assert (counts.active, counts.passive) == (2, 0)


async def test_what_only_bytes_can_tell_is_downloaded_to_be_known(house: House) -> None:
    async with Upstream(source().files()) as up:
        await filled(house, up, install_time_code="hide", missing_facts="hide")
        assert downloaded(up) == {FREE, GPL}
        assert await listed(house, "team") == {FREE, GPL}


@pytest.mark.parametrize("more", [{"use_channel_policy": False}, {"use_channel_policy": False, "policy_id": "other"},
                                  {"policy_id": "other"}, {"policy_id": "none"}])  # fmt: skip
async def test_a_mirror_has_no_other_policy_than_its_channel(house: House, more: dict[str, Any]) -> None:
    await house.channel("team")
    mine = await call(house.admin, "POST", "/api/policies", {"name": "ours", "channel_name": "team"})
    other = await call(house.admin, "POST", "/api/policies", {"name": "theirs"})
    sent = {**more, "policy_id": other.json()["id"]} if more.get("policy_id") == "other" else more
    body = {"mirror_name": "forge", "source_root": "http://127.0.0.1:9/conda"}
    refused = await call(house.admin, "POST", f"{TEAM}/mirrors", {**body, **sent})
    assert (refused.status, refused.json()["code"]) == (400, "bad_request"), refused.body
    assert "policy of its channel" in refused.json()["message"]
    fine = {**body, "use_channel_policy": True, "policy_id": mine.json()["id"]}
    made = await call(house.admin, "POST", f"{TEAM}/mirrors", fine)
    assert made.status == 201, made.body
    one = f"{TEAM}/mirrors/{made.json()['mirror_id']}"
    assert (await call(house.admin, "PUT", one, sent)).status == 400
    assert (await call(house.admin, "PUT", one, {"policy_id": None, "use_channel_policy": True})).status == 202
