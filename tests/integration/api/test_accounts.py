"""Login, account, tokens and users over the management API."""

from __future__ import annotations

import base64
import json

from tests.kit.calls import call, read
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
    assert set(made.json()) == {"id", "username", "role", "disabled", "created_at"}
    assert (await call(house.admin, "POST", "/api/users", body)).json()["code"] == "conflict"
    listed = await read(house.admin, "/api/users?limit=0")
    assert listed == {"items": [], "total_count": 4}
    off = await call(house.admin, "PUT", "/api/users/bob", {"disabled": True})
    assert off.json()["disabled"] is True
    login = {"username": "bob", "password": "correct horse battery"}
    assert (await call(house.web, "POST", "/api/auth/login", login)).status == 401
    assert (await call(house.admin, "DELETE", "/api/users/bob")).status == 204
    assert (await call(house.admin, "DELETE", "/api/users/bob")).status == 404
