"""Login, account, tokens and users over the management API."""

from __future__ import annotations

import base64
import json

from packhouse.catalog.changes import note
from packhouse.core.db import Unit
from tests.kit.calls import call, read
from tests.kit.condapkg import make_conda
from tests.kit.house import House


async def test_login_gives_a_session_that_clients_can_read(house: House) -> None:
    await house.person("ann", password="correct horse battery")
    answer = await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": "correct horse battery"})
    assert answer.status == 200
    token = answer.json()["token"]
    payload = token.split(".")[1]
    claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["realm_access"]["roles"] == ["author"]
    assert claims["exp"] > claims["iat"]
    me = await read(house.web.with_headers({"authorization": f"Bearer {token}"}), "/api/account")
    assert me["username"] == "ann"
    assert {"user_id", "username", "roles", "dbroles", "default_channel_name", "user", "profile"} <= set(me)
    assert me["user"]["username"] == "ann"
    wrong = await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": "wrong"})
    assert "password is wrong" in wrong.json()["message"]
    nobody = await call(house.web, "POST", "/api/auth/login", {"username": "nobody", "password": "wrong"})
    assert (wrong.status, wrong.body) == (401, nobody.body)
    assert wrong.headers["www-authenticate"].startswith("Basic")


async def test_a_token_is_made_used_renewed_and_revoked(house: House) -> None:
    owner = house.as_("owner")
    scopes = (await read(owner, "/api/account/scopes"))["scopes"]
    assert "artifact:create" in scopes
    assert "account:manage" not in scopes
    body = {"name": "ci", "expires_at": "2999-01-31", "scopes": ["channel:view", "channel:view-artifacts"]}
    made = await call(owner, "POST", "/api/account/tokens", body)
    assert made.status == 200
    token = made.json()
    assert {"id", "token", "name", "created_at", "expires_at", "type"} <= set(token)
    assert token["type"] == "scope"
    robot = house.web.with_headers({"x-auth": token["token"]})
    assert (await read(robot, "/api/account/token-info"))["id"] == token["id"]
    assert (await call(robot, "POST", "/api/channels", {"name": "robots"})).status == 403
    listed = await read(owner, "/api/account/tokens")
    assert token["token"] not in json.dumps(listed)
    assert {"ci", "for tests"} == {item["name"] for item in listed["items"]}

    renewed = await call(owner, "PUT", f"/api/account/tokens/{token['id']}", {})
    assert renewed.status == 200
    assert (await robot.get("/api/account")).status == 401
    again = house.web.with_headers({"x-auth": renewed.json()["token"]})
    assert (await again.get("/api/account")).status == 200
    assert (await call(owner, "DELETE", f"/api/account/tokens/{token['id']}")).status == 204
    assert (await again.get("/api/account")).status == 401
    assert (await call(house.as_("outsider"), "DELETE", f"/api/account/tokens/{token['id']}")).status == 404


async def test_a_token_for_channels_is_made_shown_and_ends_where_they_end(house: House) -> None:
    owner = house.as_("owner")
    for path, privacy in (("mine", "private"), ("mine/deep", "private"), ("other", "private"), ("open", "public")):
        await house.channel(path, privacy, "owner")
        await house.upload(path, "one")
    wanted = [
        {"resource_type": "channel", "resource_id": "mine", "permission": "write"},
        {"resource_type": "subchannel", "resource_id": "mine/deep", "permission": "read"},
    ]
    made = await call(owner, "POST", "/api/account/tokens", {"name": "ci", "resources": wanted})
    assert made.status == 200, made.body
    token = made.json()
    assert (token["type"], token["scopes"], token["resources"]) == ("resource", None, wanted)
    robot = house.web.with_headers({"x-auth": token["token"]})
    assert (await read(robot, "/api/account/token-info"))["resources"] == wanted
    assert [one["name"] for one in (await read(robot, "/api/account/channels"))["items"]] == ["mine", "deep", "open"]
    for path, status in (("mine", 200), ("mine/deep", 200), ("other", 404), ("open", 200), ("none", 404)):
        assert (await robot.get(f"/api/repo/{path}/noarch/repodata.json")).status == status, path
        assert (await robot.get(f"/api/repo/{path}/noarch/one-1.0-0.conda")).status == status, path
    two = make_conda("two", "1.0", "0", "noarch")
    for path, status in (("mine", 201), ("mine/deep", 403), ("other", 404), ("open", 403)):
        assert (await robot.put(f"/api/repo/{path}/noarch/two-1.0-0.conda", two)).status == status, path
    assert (await call(robot, "PUT", "/api/channels/mine", {"description": "x"})).status == 403
    assert (await call(robot, "POST", "/api/account/tokens", {"name": "more"})).status == 403
    assert (await call(owner, "DELETE", "/api/channels/mine/subchannels/deep")).status == 202
    assert (await read(owner, "/api/account/tokens"))["items"][-1]["resources"] == wanted[:1]


async def test_a_token_for_channels_is_refused_with_what_is_wrong(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("mine", "private", "owner")
    await house.channel("hidden", "private", "outsider")
    good = {"resource_type": "channel", "resource_id": "mine", "permission": "read"}
    for body, status in (
        ({"resources": [good], "scopes": ["channel:view"]}, 400),
        ({"resources": []}, 400),
        ({"resources": [good, good]}, 400),
        ({"resources": [{**good, "permission": "own"}]}, 400),
        ({"resources": [{**good, "resource_type": "galaxy"}]}, 400),
        ({"resources": [{**good, "resource_type": "subchannel"}]}, 400),
        ({"resources": [{**good, "resource_id": "hidden"}]}, 404),
        ({"resources": [{**good, "resource_id": "none"}]}, 404),
    ):
        answer = await call(owner, "POST", "/api/account/tokens", {"name": "ci", **body})
        assert (answer.status, bool(answer.json()["message"])) == (status, True), (body, answer.body)
    assert [one["name"] for one in (await read(owner, "/api/account/tokens"))["items"]] == ["for tests"]


async def test_what_is_said_of_a_token_changes_and_its_value_stays(house: House) -> None:
    owner = house.as_("owner")
    body = {"name": "ci", "description": "builds", "metadata": {"team": ["a", "b"]}, "expires_at": "2999-01-31"}
    made = (await call(owner, "POST", "/api/account/tokens", body)).json()
    assert made["metadata"] == {"team": ["a", "b"]} and made["expires_in_days"] > 300_000
    url = f"/api/account/tokens/{made['id']}"
    edited = await call(owner, "PATCH", url, {"description": "nightly builds"})
    assert edited.status == 200, edited.body
    assert (edited.json()["description"], edited.json()["metadata"]) == ("nightly builds", {"team": ["a", "b"]})
    assert (await house.web.with_headers({"x-auth": made["token"]}).get("/api/account")).status == 200
    assert (await call(owner, "PATCH", url, {"name": "for tests"})).status == 409
    assert (await call(owner, "PATCH", url, {"metadata": {"a": "x" * 5000}})).status == 400
    assert (await call(house.as_("outsider"), "PATCH", url, {"description": "x"})).status == 404
    weak = {"name": "weak", "scopes": ["account:edit", "account:view"]}
    robot = house.web.with_headers({"x-auth": (await call(owner, "POST", "/api/account/tokens", weak)).json()["token"]})
    assert (await call(robot, "PATCH", url, {"description": "mine"})).status == 403
    told = [event["event_type"] for event in (await read(house.admin, "/api/events?limit=99"))["items"]]
    assert told.count("user_token_metadata_updated") == 1
    first = await read(owner, "/api/account/tokens?limit=1&offset=1")
    assert ([one["name"] for one in first["items"]], first["total_count"]) == (["ci"], 3)


async def test_administrators_see_and_stop_tokens_of_who_may_no_more_than_they(house: House) -> None:
    owner, made = house.as_("owner"), {}
    await house.person("keeper")

    async def work(unit: Unit) -> None:  # a user administrator
        keeper = house.people["keeper"].principal.account_id
        await unit.execute("INSERT INTO account_role (account_id, role_id) VALUES (:keeper, 4)", keeper=keeper)
        await note(unit, "people")

    await house.services.db.write(work)
    await house.caught_up()
    for name in ("one", "two"):
        made[name] = (await call(owner, "POST", "/api/account/tokens", {"name": name})).json()
    for who, name in (("admin", "one"), ("keeper", "two")):
        client, url = house.as_(who), "/api/users/owner/tokens"
        listed = await read(client, url)
        assert made[name]["id"] in {one["id"] for one in listed["items"]} and "ph-" not in str(listed)
        assert (await call(client, "DELETE", f"{url}/{made[name]['id']}")).status == 204
        assert (await call(client, "DELETE", f"{url}/{made[name]['id']}")).status == 404
        assert (await house.web.get("/api/account", x_auth=made[name]["token"])).status == 401
    admins = (await read(house.admin, "/api/account/tokens"))["items"][0]["id"]
    keeper = house.as_("keeper")
    assert (await keeper.get("/api/users/admin/tokens")).status == 404  # as if there were none
    assert (await call(keeper, "DELETE", f"/api/users/admin/tokens/{admins}")).status == 404
    assert (await call(keeper, "DELETE", f"/api/users/owner/tokens/{admins}")).status == 404  # not one of theirs
    assert (await keeper.get("/api/users/nobody/tokens")).status == 404
    assert (await owner.get("/api/users/owner/tokens")).status == 403
    assert (await house.admin.get("/api/account")).status == 200


async def test_own_channels_say_what_access_one_has(house: House) -> None:
    owner = house.as_("owner")
    await house.channel("public-one")
    await house.channel("mine", "private", "owner")
    items = (await read(owner, "/api/account/channels?offset=0&limit=100&include_subchannels=True"))["items"]
    assert [(item["name"], item["access"]) for item in items] == [("mine", "owner")]
    assert (await house.web.get("/api/account/channels")).status == 401


async def test_only_administrators_manage_users(house: House) -> None:
    body = {"username": "bob", "password": "correct horse battery", "role": "author"}
    assert (await call(house.as_("owner"), "POST", "/api/users", body)).status == 403
    assert (await call(house.web, "POST", "/api/users", body)).status == 401
    made = await call(house.admin, "POST", "/api/users", body)
    assert made.status == 201
    assert {"id", "uuid", "username", "role", "roles", "disabled", "created_at"} <= set(made.json())
    assert (await call(house.admin, "POST", "/api/users", body)).json()["code"] == "conflict"
    listed = await read(house.admin, "/api/users?limit=0")
    assert listed == {"items": [], "total_count": 4}
    off = await call(house.admin, "PUT", "/api/users/bob", {"disabled": True})
    assert off.json()["disabled"] is True
    login = {"username": "bob", "password": "correct horse battery"}
    assert (await call(house.web, "POST", "/api/auth/login", login)).status == 401
    assert (await call(house.admin, "DELETE", "/api/users/bob")).status == 204
    assert (await call(house.admin, "DELETE", "/api/users/bob")).status == 404
