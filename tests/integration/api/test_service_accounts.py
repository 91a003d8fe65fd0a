"""Accounts for machines: who makes their tokens, what those reach, and what ends them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from packhouse.catalog.groups import grants
from packhouse.catalog.rights.permissions import Level
from packhouse.catalog.tokens import service_accounts
from packhouse.doors.api.permissions import ROUTES
from tests.conftest import Backend
from tests.kit.asgi import Client
from tests.kit.calls import call, read
from tests.kit.condapkg import make_conda
from tests.kit.house import House, open_house
from tests.kit.jobs import HEARD, until

HERE = "/api/channels/mine/service-accounts"


def on(path: str, permission: str) -> dict[str, str]:
    """Return a resource as clients write it."""
    return {
        "resource_type": "subchannel" if "/" in path else "channel", "resource_id": path, "permission": permission,
    }  # fmt: skip


async def machine(client: Client, **body: Any) -> dict[str, Any]:
    """Make the account of `mine` and a token of it."""
    account = (await call(client, "POST", HERE)).json()
    made = await call(client, "POST", f"{HERE}/{account['id']}/tokens", {"name": "ci", **body})
    assert made.status == 200, made.body
    return {**made.json(), "account": account, "url": f"{HERE}/{account['id']}/tokens"}


async def test_a_manager_makes_tokens_for_a_machine(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    await house.upload("mine", "one")
    assert "channel_service_account" in (await read(house.web, "/api/system"))["features"]
    assert await read(owner, HERE) == {"items": [], "total_count": 0}
    made = await machine(owner, max_days=10, resources=[on("mine", "write")], description="builds")
    assert made["account"]["username"] == "service-account-channel-mine"
    assert (await call(owner, "POST", HERE)).json() == made["account"]  # one for a channel
    assert (
        (await read(owner, HERE))["items"] == (await read(owner, "/api/service-accounts"))["items"] == [made["account"]]
    )
    assert made["expires_in_days"] == 10 and made["resources"] == [on("mine", "write")]
    robot = house.web.with_headers({"x-auth": made["token"]})
    assert (await robot.get("/api/repo/mine/noarch/one-1.0-0.conda")).status == 200
    two = make_conda("two", "1.0", "0", "noarch")
    assert (await robot.put("/api/repo/mine/noarch/two-1.0-0.conda", two)).status == 201
    assert (await call(robot, "GET", HERE)).status == 403  # it does not manage the channel
    listed = await read(owner, made["url"])
    assert [one["name"] for one in listed["items"]] == ["ci"] and made["token"] not in str(listed)
    assert (await call(owner, "POST", made["url"], {"name": "ci"})).status == 409
    lowered = await call(
        owner, "PUT", f"{made['url']}/{made['id']}", {"resources": [on("mine", "read")], "max_days": 3}
    )
    assert lowered.status == 200 and lowered.json()["expires_in_days"] in (2, 3), lowered.body

    async def lowered_here() -> bool:  # what was allowed just now is remembered for part of a second
        return (await robot.put("/api/repo/mine/noarch/three-1.0-0.conda", two)).status == 403

    await until(lowered_here, seconds=HEARD)
    assert (await call(owner, "DELETE", f"{made['url']}/{made['id']}")).status == 204
    assert (await robot.get("/api/repo/mine/noarch/one-1.0-0.conda")).status == 401


async def test_two_edits_of_a_machine_s_token_at_a_time_lose_neither(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    made = await machine(owner, resources=[on("mine", "write")])
    url = f"{made['url']}/{made['id']}"
    for number in range(10):
        edits = ({"description": f"d{number}"}, {"metadata": {"n": number}}, {"name": f"n{number}"})
        answers = await asyncio.gather(*(call(owner, "PUT", url, edit) for edit in edits))
        assert [answer.status for answer in answers] == [200, 200, 200]
        (now,) = (await read(owner, made["url"]))["items"]
        assert (now["description"], now["metadata"], now["name"]) == (f"d{number}", {"n": number}, f"n{number}")


async def test_a_machine_is_told_who_it_is_and_refused_nothing_that_strangers_get(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    await house.channel("open", "public", "owner")
    made = await machine(owner, resources=[on("mine", "read")])
    robot = house.web.with_headers({"x-auth": made["token"]})
    for address in ("/api/account", "/api/account/me", "/api/auth/account/profile"):
        assert "service-account-channel-mine" in str(await read(robot, address)), address
    assert (await read(robot, "/api/account/token-info"))["id"] == made["id"]
    assert (await call(robot, "PUT", "/api/account", {"first_name": "Robby"})).status == 403
    people = await call(owner, "POST", "/api/account/tokens", {"name": "mine", "resources": [on("mine", "read")]})
    limited = house.web.with_headers({"x-auth": people.json()["token"]})
    for token in (robot, limited):
        for method, path in ROUTES:
            if method == "GET" and "{" not in path and (await house.web.get(path)).status == 200:
                assert (await token.get(path)).status == 200, path
        assert {one["name"] for one in (await read(token, "/api/channels"))["items"]} == {"mine", "open"}
        assert (await call(token, "POST", "/api/channels", {"name": "another"})).status == 403


async def test_who_does_not_manage_a_channel_makes_no_token_for_its_machine(house: House) -> None:
    owner, outsider = house.as_("owner"), house.as_("outsider")
    await house.channel("mine", "public", "owner")
    made = await machine(owner)
    token = f"{made['url']}/{made['id']}"
    for method, url, body in (
        ("GET", HERE, None), ("POST", HERE, None), ("GET", made["url"], None), ("POST", made["url"], {"name": "x"}),
        ("PUT", token, {"max_days": 9}), ("DELETE", token, None),
    ):  # fmt: skip
        assert (await call(outsider, method, url, body)).status == 403, (method, url)
    assert await read(outsider, "/api/service-accounts") == {"items": [], "total_count": 0}
    await house.channel("theirs", "public", "outsider")
    other = f"/api/channels/theirs/service-accounts/{made['account']['id']}/tokens"
    assert (await call(outsider, "GET", other)).status == 404  # the account of another channel
    assert (await call(outsider, "DELETE", f"{other}/{made['id']}")).status == 404
    for days in (0, 366, -1):
        assert (await call(owner, "POST", made["url"], {"name": "x", "max_days": days})).status == 400
    assert (await call(owner, "POST", made["url"], {"name": "x", "resources": []})).status == 400


async def test_tokens_of_people_and_of_machines_say_alike_when_they_end(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    machines = (await machine(owner))["url"]
    for number, url in enumerate(("/api/account/tokens", machines)):
        day = datetime.fromtimestamp(await house.services.db.now() / 1_000_000, UTC).date() + timedelta(days=9)
        by_day = await call(owner, "POST", url, {"name": "by day", "expires_at": str(day)})
        assert by_day.json()["expires_at"] == f"{day + timedelta(days=1)}T00:00:00.000Z", by_day.body
        by_days = await call(owner, "POST", url, {"name": "by days", "max_days": 9})
        assert by_days.json()["expires_in_days"] == 9, by_days.body
        for body in ({"expires_at": str(day), "max_days": 9}, {"expires_at": "1999-01-01"}, {"max_days": 0}):
            assert (await call(owner, "POST", url, {"name": "x", **body})).status == 400, body
        for body in ({"max_days": 2}, {"expires_at": str(day)}):
            again = await call(owner, "PUT", f"{url}/{by_days.json()['id']}", body)
            assert again.status == 200, again.body
        assert again.json()["expires_at"] == by_day.json()["expires_at"]
        endless = await call(owner, "POST", url, {"name": "unsaid"})
        assert endless.json()["expires_in_days"] == (None, 30)[number], "a machine's token always ends"
    late = await call(owner, "POST", machines, {"name": "late", "expires_at": "2999-01-31"})
    assert late.status == 400 and "365 days" in late.json()["message"], late.body


async def test_a_resource_of_the_wrong_type_is_told_the_right_one(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    await house.channel("mine/sub", "private", "owner")
    for path, right, wrong in (("mine/sub", "subchannel", "channel"), ("mine", "channel", "subchannel")):
        named = {"name": path, "resources": [{**on(path, "read"), "resource_type": wrong}]}
        refused = await call(owner, "POST", "/api/account/tokens", named)
        said = refused.body.decode()
        assert refused.status == 400 and f"the name of a {right}" in said, said
        assert f"Send the `resource_type` {right}" in said, said


async def test_a_machine_reaches_only_what_its_maker_could_share(house: House) -> None:
    owner, outsider = house.as_("owner"), house.as_("outsider")
    await house.channel("mine", "private", "owner")
    for path, privacy in (("hidden", "private"), ("known", "authenticated"), ("open", "public")):
        await house.channel(path, privacy, "outsider")
    made = await machine(owner, resources=[on("known", "read"), on("open", "read")])  # what anybody with a name may
    for path, permission, status in (("hidden", "read", 404), ("none", "read", 404), ("open", "write", 403)):
        body = {"name": path + permission, "resources": [on("mine", "read"), on(path, permission)]}
        assert (await call(owner, "POST", made["url"], body)).status == status, path
    robot = house.web.with_headers({"x-auth": made["token"]})
    assert (await robot.get("/api/repo/known/noarch/repodata.json")).status == 200
    assert (await robot.get("/api/repo/mine/noarch/repodata.json")).status == 404  # nobody gave it that
    weak = {"name": "weak", "scopes": ["channel:edit", "channel:view", "channel:view-artifacts"]}
    value = (await call(owner, "POST", "/api/account/tokens", weak)).json()["token"]
    shown = house.web.with_headers({"x-auth": value})
    assert (await call(shown, "POST", made["url"], {"name": "more"})).status == 403
    assert (await read(outsider, "/api/account/tokens"))["total_count"] == 1


async def test_a_machine_ends_with_its_grant_and_with_its_channel(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    await house.channel("mine/sub", "private", "owner")
    await house.channel("other", "private", "owner")
    made = await machine(owner, resources=[on("mine", "read"), on("other", "read")])
    robot = house.web.with_headers({"x-auth": made["token"]})
    for path in ("mine", "other"):
        assert (await robot.get(f"/api/repo/{path}/noarch/repodata.json")).status == 200
    granted = f"/api/channels/other/users/{made['account']['username']}"
    assert (await call(owner, "DELETE", granted)).status == 204  # as of anybody it is shared with
    await house.caught_up()
    for path, status in (("mine", 200), ("other", 404)):
        assert (await robot.get(f"/api/repo/{path}/noarch/repodata.json")).status == status
    assert (await call(owner, "DELETE", granted)).status == 404  # nobody learns by it which channels have one
    sub = (await call(owner, "POST", "/api/channels/mine/subchannels/sub/service-accounts")).json()
    assert sub["username"] == "service-account-channel-mine.sub"
    assert (await call(owner, "DELETE", "/api/channels/mine")).status == 202
    await house.caught_up()
    assert (await robot.get("/api/repo/other/noarch/repodata.json")).status == 401
    assert (await read(house.admin, "/api/service-accounts"))["total_count"] == 0
    await house.channel("mine", "private", "owner")  # a new one of that name has nothing of the old one
    again = await machine(owner)
    assert (
        again["account"]["username"] == made["account"]["username"] and again["account"]["id"] != made["account"]["id"]
    )


async def test_who_manages_a_channel_sees_which_machines_reach_it(house: House) -> None:
    """Whatever gives access is listed to whoever can take it away, also where it is named after a hidden channel."""
    owner, path = house.as_("owner"), "/api/channels/mine/users"
    await house.channel("mine", "private", "owner")
    await house.channel("hidden", "private", "outsider")
    assert (await call(owner, "PUT", f"{path}/outsider", {"level": "manage"})).status == 200
    made = (await call(owner, "POST", HERE)).json()
    assert (await read(owner, path))["total_count"] == 1
    # it needs no token before it is given a level on its own channel
    shared = await call(owner, "PUT", f"{path}/{made['username']}", {"level": "write"})
    assert (shared.status, shared.json()) == (200, {"changed": True})
    theirs = (await call(house.as_("outsider"), "POST", "/api/channels/hidden/service-accounts")).json()
    token = {"name": "ci", "resources": [on("mine", "read")]}
    url = f"/api/channels/hidden/service-accounts/{theirs['id']}/tokens"
    robot = (await call(house.as_("outsider"), "POST", url, token)).json()["token"]
    listed = await read(owner, path)
    assert {one["name"]: one["level"] for one in listed["items"]} == {
        "outsider": "manage", "service-account-channel-mine": "write", "service-account-channel-hidden": "read",
    }  # fmt: skip
    assert listed["total_count"] == 3
    await house.person("reader")
    assert (await call(owner, "PUT", f"{path}/reader", {"level": "read"})).status == 200
    seen = await read(house.as_("reader"), path)
    assert ([one["name"] for one in seen["items"]], seen["total_count"]) == (["reader"], 1)
    assert (await call(owner, "DELETE", f"{path}/{theirs['username']}")).status == 204
    assert (await read(owner, path))["total_count"] == 3
    await house.caught_up()
    assert (await house.web.get("/api/repo/mine/noarch/repodata.json", x_auth=robot)).status == 404


async def test_a_machine_of_another_channel_gets_its_level_by_a_token(house: House) -> None:
    """By its name nobody learns which channels there are."""
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    await house.channel("hidden", "private", "outsider")
    await call(house.as_("outsider"), "POST", "/api/channels/hidden/service-accounts")
    answers = []
    for name in ("hidden", "absent"):
        answer = await call(owner, "PUT", f"/api/channels/mine/users/service-account-channel-{name}", {"level": "read"})
        answers.append((answer.status, answer.json()["error"]["message"].replace(name, "NAME")))
        assert "by a token" in str(answer.json())
    assert answers[0] == answers[1] and answers[0][0] == 404


async def test_nobody_bears_the_name_of_a_machine(house: House) -> None:
    body = {"username": "service-account-channel-mine", "password": "correct horse battery"}
    assert (await call(house.admin, "POST", "/api/users", body)).status == 400


async def test_new_channels_get_theirs_at_once_where_that_is_set(backend: Backend) -> None:
    async with open_house(backend, service_account_autocreate=True) as house:
        await house.person("owner")
        await house.channel("mine", "private", "owner")
        assert (await read(house.as_("owner"), HERE))["total_count"] == 1


async def test_what_a_machine_has_is_raised_and_never_lowered(house: House) -> None:
    channel = await house.channel("mine", "private", "owner")
    account = (await call(house.as_("owner"), "POST", HERE)).json()
    for level, has in ((Level.WRITE, Level.WRITE), (Level.READ, Level.WRITE), (Level.MANAGE, Level.MANAGE)):
        work = partial(service_accounts.raise_grant, account_id=account["id"], channel_id=channel.id, level=level)
        await house.services.db.write(work)
        assert await grants.of_user(house.services.db, channel.id, account["id"]) == has
