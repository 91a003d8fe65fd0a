"""A mirror has the policy of its channel: what that hides is neither shown nor downloaded, until it is allowed.

One of its own only selects what it takes in.
"""

from __future__ import annotations

import asyncio
from typing import Any

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Counts, Mirror
from tests.kit.calls import call
from tests.kit.house import House
from tests.kit.judging import judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, events, run_and_wait
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


async def run(house: House, mirror: Mirror) -> Counts:
    """Run a mirror once more; return what it counted."""
    ran = await run_and_wait(house.services, mirror)
    assert ran.state == "completed", ran.progress.last_exception
    await judged(house)
    return ran.progress.count


async def test_a_run_and_a_dry_run_tell_how_many_files_are_held_back(house: House) -> None:
    offered = source()
    offered.add("ours")
    async with Upstream(offered.files()) as up:
        channel = await house.channel("team")
        await house.upload("team", "ours", "0.5")
        body = {"name": "ours", "channel_name": "team", "license_not": ["GPL3"]}
        policy = (await call(house.admin, "POST", "/api/policies", body)).json()["id"]
        await judged(house)
        asked = {"mirror_name": "forge", "source_root": up.url, "mirror_mode": "active"}
        before = (await call(house.admin, "POST", f"{TEAM}/mirrors/dry_run", asked)).json()["counts"]
        assert (before["added"], before["held_back"]) == (3, 2), "by its licence, and by a name that is ours"
        mirror = await add_mirror(house.services, channel, up.url, name="forge", mode="active")
        counts = await run(house, mirror)
        assert (counts.active, counts.passive, counts.held_back) == (1, 2, 2)
        assert downloaded(up) == {FREE}
        one = f"{TEAM}/mirrors/{mirror.uuid}"
        shown = (await house.admin.get(one)).json()["sync_state"]["count"]
        assert (shown["active"], shown["passive"], shown["held_back"]) == (1, 2, 2)
        dry = (await call(house.admin, "POST", f"{one}/dry_run")).json()["counts"]
        assert (dry["added"], dry["held_back"]) == (0, 2)
        await call(house.admin, "PUT", f"/api/policies/{policy}", {"license_not": ""})
        await judged(house)
        assert (await run(house, mirror)).held_back == 1
        assert downloaded(up) == {FREE, GPL}


async def test_a_policy_of_its_own_selects_what_a_mirror_takes_in_and_the_channel_still_hides(house: House) -> None:
    offered = source()
    offered.add("tool", depends=["free"])
    offered.add("app")
    offered.add("other")
    async with Upstream(offered.files()) as up:
        await house.channel("team")
        strict = {"name": "gate", "channel_name": "team", "exclude_package_name": ["tool"]}
        assert (await call(house.admin, "POST", "/api/policies", strict)).status == 201
        own: dict[str, Any] = {"name": "own", "license_not": ["GPL3"], "package_name": ["tool", "app", "copyleft"]}
        own |= {"include_dependencies": True}
        policy = (await call(house.admin, "POST", "/api/policies", own)).json()["id"]
        await judged(house)
        body = {"mirror_name": "forge", "source_root": up.url, "use_channel_policy": False, "policy_id": policy}
        made = await call(house.admin, "POST", f"{TEAM}/mirrors", body)
        assert made.status == 201, made.body
        assert (made.json()["use_channel_policy"], made.json()["policy_id"]) == (False, policy)
        mirror = await mirror_of(house, made.json()["mirror_id"])
        counts = await run(house, mirror)
        assert (counts.added, counts.mirror_filtered.license, counts.mirror_filtered.policy) == (3, 1, 1)
        assert await listed(house, "team") == {FREE, "app-1.0-0.conda"}
        assert await status_of(house, "team", "tool-1.0-0.conda") == 403, "no mirror overrides its channel"
        assert downloaded(up) == set()
        assert (await call(house.admin, "PUT", f"/api/policies/{policy}", {"package_name": ["app"]})).status == 200
        await run(house, mirror)
        assert await listed(house, "team") == {"app-1.0-0.conda"}
        one = f"{TEAM}/mirrors/{mirror.uuid}"
        back = await call(house.admin, "PUT", one, {"use_channel_policy": True})
        assert (back.status, back.json()["policy_id"]) == (202, None), back.body
        await run(house, mirror)
        assert await listed(house, "team") == {FREE, GPL, "app-1.0-0.conda", "other-1.0-0.conda"}
        told = [(kind, data["policy"]) for kind, _, data in await events(house.services, "mirror_policy")]
        assert told == [("mirror_policy_assigned", "own"), ("mirror_policy_unassigned", "own")]


async def test_without_the_channels_policy_an_active_mirror_downloads_what_nobody_may_see_yet(house: House) -> None:
    async with Upstream(source().files()) as up:
        channel = await house.channel("team")
        body = {"name": "ours", "channel_name": "team", "license_not": ["GPL3"]}
        await call(house.admin, "POST", "/api/policies", body)
        await judged(house)
        options = {"use_channel_policy": False}
        mirror = await add_mirror(house.services, channel, up.url, mode="active", options=options)
        counts = await run(house, mirror)
        assert (counts.active, counts.held_back) == (2, 0)
        assert downloaded(up) == {FREE, GPL}
        assert await status_of(house, "team", GPL) == 403


async def test_a_policy_that_a_mirror_uses_is_deleted_by_force_alone(house: House) -> None:
    async with Upstream(source().files()) as up:
        channel = await house.channel("team")
        made = await call(house.admin, "POST", "/api/policies", {"name": "own", "license_not": ["GPL3"]})
        policy = made.json()["id"]
        options = {"use_channel_policy": False, "policy_id": policy}
        mirror = await add_mirror(house.services, channel, up.url, options=options)
        await run(house, mirror)
        assert await listed(house, "team") == {FREE}
        refused = await call(house.admin, "DELETE", f"/api/policies/{policy}")
        assert (refused.status, refused.json()["code"]) == (409, "conflict")
        assert "team/upstream" in refused.json()["message"]
        assert (await call(house.admin, "DELETE", f"/api/policies/{policy}?force=true")).status == 200
        now = await mirror_of(house, mirror.uuid)
        assert (now.options.use_channel_policy, now.options.policy_id, now.needs_full_run) == (True, None, True)
        assert [kind for kind, _, _ in await events(house.services, "mirror_policy")][-1] == "mirror_policy_unassigned"
        await run(house, mirror)
        assert await listed(house, "team") == {FREE, GPL}


async def test_contradictions_and_unknown_policies_are_refused(house: House) -> None:
    await house.channel("team")
    mine = await call(house.admin, "POST", "/api/policies", {"name": "ours", "channel_name": "team"})
    other = await call(house.admin, "POST", "/api/policies", {"name": "theirs"})
    body = {"mirror_name": "forge", "source_root": "http://127.0.0.1:9/conda"}
    nobody = "00000000-0000-0000-0000-000000000000"
    for sent, status in (
        ({"policy_id": other.json()["id"]}, 400),
        ({"policy_id": other.json()["id"], "use_channel_policy": True}, 400),
        ({"policy_id": nobody, "use_channel_policy": False}, 404),
        ({"policy_id": "\0", "use_channel_policy": False}, 400),
    ):
        assert (await call(house.admin, "POST", f"{TEAM}/mirrors", {**body, **sent})).status == status, sent
    fine = {**body, "use_channel_policy": True, "policy_id": mine.json()["id"]}  # what it has anyway
    made = await call(house.admin, "POST", f"{TEAM}/mirrors", fine)
    assert (made.status, made.json()["policy_id"]) == (201, None), made.body
    one = f"{TEAM}/mirrors/{made.json()['mirror_id']}"
    again = await call(house.admin, "PUT", one, {**made.json(), "cron": "0 1 * * *"})
    assert again.status == 202, again.body


async def test_an_active_mirror_waits_until_somebody_has_worked_out_what_selected_files_need(house: House) -> None:
    offered = source()
    offered.add("app", depends=["free"])
    async with Upstream(offered.files()) as up:
        channel = await house.channel("team")
        body = {"name": "ours", "channel_name": "team", "package_name": ["app"], "include_dependencies": True}
        assert (await call(house.admin, "POST", "/api/policies", body)).status == 201
        await judged(house)
        mirror = await add_mirror(house.services, channel, up.url, mode="active")

        async def worker() -> None:
            while True:
                await asyncio.sleep(0.5)
                await judged(house)

        working = asyncio.create_task(worker())
        counts = await run(house, mirror)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert downloaded(up) == {FREE, "app-1.0-0.conda"}
        assert (counts.active, counts.held_back) == (2, 1)


async def mirror_of(house: House, uuid: str) -> Mirror:
    """Return a mirror as it is now."""
    found = await store.by_uuid(house.services.db, uuid)
    assert found is not None
    return found
