"""Channels shared with groups and people: what each level lets them do, who may share, and who their owners are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.rights.permissions import ACTIONS, CATEGORIES, READ
from tests.conftest import Backend
from tests.kit.calls import call, read, upload
from tests.kit.condapkg import make_conda
from tests.kit.house import House, second_process
from tests.kit.jobs import HEARD, until

LEVELS = ("read", "write", "manage")


async def status(house: House, who: str, method: str, target: str, body: Any = None) -> int:
    return (await call(house.as_(who), method, target, body)).status


async def team(house: House, *people: str) -> None:
    """Make a group that `owner` and others are in."""
    assert await status(house, "admin", "POST", "/api/groups", {"name": "team"}) == 201
    for name in people:
        assert await status(house, "admin", "PUT", f"/api/groups/team/members/{name}", {}) == 200


async def may(house: House, who: str, path: str) -> tuple[int, int, int]:
    """Return the answers to reading a channel, uploading to it and editing it."""
    client, address = house.as_(who), f"/api/channels/{path.replace('/', '/subchannels/')}"
    seen = (await client.get(address)).status
    put = await client.put(f"/api/repo/{path}/noarch/b-1-0.conda", make_conda("b", "1"))
    return seen, put.status, (await call(client, "PUT", address, {"description": "x"})).status


@pytest.mark.parametrize("path", ["lab", "lab/dev"])
@pytest.mark.parametrize("by", ["groups/team", "users/outsider"])
async def test_what_a_level_lets_people_do(house: House, path: str, by: str) -> None:
    await team(house, "owner", "outsider")
    await house.channel("lab", "private", "owner")
    if path == "lab/dev":
        await house.channel(path, "private", "owner")
    address = f"/api/channels/{path.replace('/', '/subchannels/')}/{by}"
    assert await may(house, "outsider", path) == (404, 404, 404)
    for level, expected in zip(LEVELS, ((200, 403, 403), (200, 201, 403), (200, 201, 200)), strict=True):
        assert (await call(house.as_("owner"), "PUT", address, {"level": level})).json() == {"changed": True}
        await house.caught_up()
        seen, put, edited = await may(house, "outsider", path)
        assert (seen, 201 if put == 200 else put, edited) == expected, level
    if path == "lab/dev":
        assert (await house.as_("outsider").get("/api/channels/lab")).status == 404, "nothing is inherited"
    assert (await call(house.as_("owner"), "PUT", address, {"level": "manage"})).json() == {"changed": False}
    listed = await read(house.as_("owner"), address.rpartition("/")[0])
    assert {"name": by.partition("/")[2], "level": "manage", "owners": False} in listed["items"]
    assert await status(house, "owner", "DELETE", address) == 204
    await house.caught_up()
    assert await may(house, "outsider", path) == (404, 404, 404)
    history = json.dumps(await read(house.as_("owner"), address.removesuffix("/" + by) + "/history"))
    assert f"channel_{by[:4].replace('grou', 'group')}" in history


async def test_nobody_shares_more_than_they_have(house: House) -> None:
    await team(house, "owner", "outsider")
    await house.channel("lab", "private", "owner")
    share = {"level": "write"}
    assert await status(house, "owner", "PUT", "/api/channels/lab/users/outsider", share) == 200
    await house.caught_up()
    for target in ("groups/team", "users/admin"):
        assert await status(house, "outsider", "PUT", f"/api/channels/lab/{target}", {"level": "read"}) == 403
        assert await status(house, "outsider", "DELETE", f"/api/channels/lab/{target}") == 403
    assert await status(house, "owner", "PUT", "/api/channels/lab/users/outsider", {"level": "manage"}) == 200
    await house.caught_up()
    assert await status(house, "outsider", "PUT", "/api/channels/lab/groups/team", {"level": "manage"}) == 200
    assert await status(house, "outsider", "PUT", "/api/channels/lab", {"owner": "outsider"}) == 403
    assert await status(house, "outsider", "PUT", "/api/channels/lab/users/owner", {"level": "read"}) == 409
    assert await status(house, "outsider", "DELETE", "/api/channels/lab/groups/lab_owners") == 409


async def test_a_limited_token_shares_no_more_than_it_can_do(house: House) -> None:
    """Or it would give its finder, or whoever wrote the pipeline, what it was limited not to do."""
    await house.channel("mine", "private", "owner")
    await team(house, "owner")
    readable = [one for one, (of, level) in ACTIONS.items() if CATEGORIES[of].of_channel and level <= READ]
    for who in ("owner", "admin"):
        few = ["channel.group:edit", "channel:view", "channel.group:view"]
        for scopes, read_status in ((few, 403), ([*few, *readable], 200)):
            body = {"name": f"t{len(scopes)}", "scopes": sorted(set(scopes))}
            token = (await call(house.as_(who), "POST", "/api/account/tokens", body)).json()["token"]
            shown = house.web.with_headers({"x-auth": token})
            for target in ("channels/mine/users/outsider", "channels/mine/groups/team"):
                for level in ("write", "manage"):
                    assert (await call(shown, "PUT", f"/api/{target}", {"level": level})).status == 403, (who, target)
                assert (await call(shown, "PUT", f"/api/{target}", {"level": "read"})).status == read_status, target
            into = "/api/groups/mine_owners/members/outsider"
            assert (await call(shown, "PUT", into, {"level": "read"})).status == 403
        for target in ("channels/mine/users/outsider", "channels/mine/groups/team"):
            assert (await call(shown, "DELETE", f"/api/{target}")).status == 204  # what it gives away is less


async def test_a_group_one_may_not_see_is_answered_like_none(house: House) -> None:
    await team(house)
    await house.channel("lab", "public", "owner")
    answers = [
        await call(house.as_("owner"), "PUT", f"/api/channels/lab/groups/{name}", {}) for name in ("team", "none")
    ]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body.replace(b"team", b"none") == answers[1].body
    assert await status(house, "admin", "PUT", "/api/channels/lab/groups/team", {}) == 200
    # what is shared already can be seen and taken away by whoever shares the channel
    assert (await read(house.as_("owner"), "/api/channels/lab/groups"))["total_count"] == 2
    for name, seen in (("outsider", 0), ("admin", 2)):
        assert (await read(house.as_(name), "/api/channels/lab/groups"))["total_count"] == seen
    assert await status(house, "owner", "DELETE", "/api/channels/lab/groups/team") == 204


async def test_the_group_of_owners_lives_with_its_channel(house: House) -> None:
    await house.channel("lab", "private", "owner")
    await house.channel("lab/dev", "private", "owner")
    assert [group["name"] for group in (await read(house.as_("owner"), "/api/groups"))["items"]] == [
        "lab.dev_owners",
        "lab_owners",
    ]
    address = "/api/groups/lab_owners/members"
    assert await status(house, "owner", "PUT", f"{address}/outsider", {"level": "manage"}) == 200
    await house.caught_up()
    assert (await read(house.as_("outsider"), "/api/channels/lab"))["owners"] == ["owner", "outsider"]
    assert await status(house, "outsider", "PUT", "/api/channels/lab", {"description": "ours"}) == 200
    assert await status(house, "outsider", "DELETE", f"{address}/owner") == 409
    assert await status(house, "outsider", "PUT", f"{address}/owner", {"level": "read"}) == 409
    assert await status(house, "owner", "PUT", "/api/groups/lab_owners", {"name": "mine"}) == 409
    assert await status(house, "owner", "DELETE", "/api/groups/lab_owners") == 409
    assert await status(house, "owner", "PUT", "/api/channels/lab", {"name": "hall"}) == 200
    names = [group["name"] for group in (await read(house.as_("owner"), "/api/groups"))["items"]]
    assert names == ["hall.dev_owners", "hall_owners"]
    assert await status(house, "owner", "DELETE", "/api/channels/hall") == 202
    assert (await read(house.as_("owner"), "/api/groups"))["total_count"] == 0
    await house.channel("hall", "private")
    assert (await house.as_("owner").get("/api/channels/hall")).status == 404
    assert (await house.as_("owner").get("/api/groups/hall_owners")).status == 404


async def test_a_channel_is_given_away_by_its_owner(house: House) -> None:
    await house.channel("lab", "private", "owner")
    assert await status(house, "owner", "PUT", "/api/channels/lab", {"owner": "nobody"}) == 404
    given = await call(house.as_("owner"), "PUT", "/api/channels/lab", {"owner": "outsider"})
    assert given.json()["owners"] == ["outsider", "owner"] and given.json()["changed"]
    await house.caught_up()
    assert await status(house, "owner", "PUT", "/api/channels/lab", {"owner": "owner"}) == 403
    assert await status(house, "outsider", "DELETE", "/api/groups/lab_owners/members/owner") == 204
    await house.caught_up()
    assert (await house.as_("owner").get("/api/channels/lab")).status == 404
    assert await status(house, "admin", "PUT", "/api/channels/lab", {"owner": "outsider"}) == 200
    shown = await read(house.as_("outsider"), "/api/channels/lab/history")
    assert {"owner": "outsider", "former": "owner"} in [event["data"] for event in shown["items"]]


async def test_the_list_of_a_groups_channels_shows_what_the_caller_sees(house: House) -> None:
    await team(house, "owner", "outsider")
    for number in range(3):
        await house.channel(f"c{number}", "private", "owner")
        assert await status(house, "owner", "PUT", f"/api/channels/c{number}/groups/team", {}) == 200
    reached = await read(house.as_("outsider"), "/api/groups/team/channels?limit=2")
    assert ([one["name"] for one in reached["items"]], reached["total_count"]) == (["c0", "c1"], 3)
    mine = await read(house.as_("outsider"), "/api/account/channels")
    assert [(one["name"], one["access"]) for one in mine["items"]] == [(f"c{n}", "viewer") for n in range(3)]


async def test_another_process_hears_of_it(house: House, backend: Backend, tmp_path: Path) -> None:
    await team(house, "owner", "outsider")
    await house.channel("lab", "private", "owner")
    assert (await upload(house.as_("owner"), "lab", "a-1-0.conda", make_conda("a", "1"))).status == 201
    target = "/api/repo/lab/noarch/a-1-0.conda"
    async with second_process(backend, house, tmp_path / "second") as second:

        async def answers(expected: int) -> bool:
            return (await second.as_("outsider").get(target)).status == expected

        assert await answers(404)
        assert await status(house, "owner", "PUT", "/api/channels/lab/groups/team", {}) == 200
        await until(lambda: answers(200), seconds=HEARD)
        assert await status(house, "admin", "DELETE", "/api/groups/team/members/outsider") == 204
        await until(lambda: answers(404), seconds=HEARD)
        assert await status(house, "owner", "PUT", "/api/channels/lab/users/outsider", {}) == 200
        await until(lambda: answers(200), seconds=HEARD)
        assert await status(house, "owner", "DELETE", "/api/channels/lab/users/outsider") == 204
        await until(lambda: answers(404), seconds=HEARD)


async def test_a_subchannel_is_shared_as_the_command_line_asks(house: House) -> None:
    await house.channel("lab", "private", "owner")
    await house.channel("lab/dev", "private", "owner")
    address = "/api/repo/namespaces/lab/channels/dev/sharing"
    shared = await call(house.as_("owner"), "POST", address, {"action": "share", "user": "outsider", "grant": "write"})
    assert (shared.status, shared.json()) == (200, {"changed": True})
    await house.caught_up()
    assert await may(house, "outsider", "lab/dev") == (200, 201, 403)
    assert await status(house, "outsider", "POST", address, {"action": "share", "user": "admin"}) == 403
    assert await status(house, "owner", "POST", address, {"action": "give", "user": "outsider"}) == 400
    assert await status(house, "owner", "POST", address, {"action": "unshare", "user": "outsider"}) == 200
    await house.caught_up()
    assert await may(house, "outsider", "lab/dev") == (404, 404, 404)
