"""The device flow: a command line shows a code, a person approves it in a browser, and a key is given out once."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import jwt

from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from tests.conftest import Backend
from tests.kit.asgi import Answer
from tests.kit.calls import call, read
from tests.kit.house import House, open_house
from tests.kit.pages import HOST, Browser

CLIENT = "b4ad7f1d-c784-46b5-a9fe-106e50441f5a"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
CONNECT = "/auth/realms/packhouse/protocol/openid-connect"
PASSWORD = "correct horse battery"


async def post(house: House, path: str, **fields: str) -> Answer:
    """Send a form as a command line does, with an old key along that nobody looks at."""
    headers = {"host": HOST, "content-type": "application/x-www-form-urlencoded", "authorization": "Bearer a.b.c"}
    return await house.web.request("POST", path, headers, [urlencode(fields).encode()])


async def begun(house: House) -> dict[str, Any]:
    answer = await post(house, f"{CONNECT}/auth/device", client_id=CLIENT, scope="openid")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def poll(house: House, grant: dict[str, Any], **other: str) -> Answer:
    """Ask for the token; as if as much time had passed since the last time as the command line waits."""

    async def work(unit: Unit) -> None:
        await unit.execute("UPDATE device_grant SET asked_at = asked_at - :wait", wait=60 * SECOND)

    await house.services.db.write(work)
    fields = {"grant_type": DEVICE_CODE, "device_code": grant["device_code"], "client_id": CLIENT, **other}
    return await post(house, f"{CONNECT}/token", **fields)


async def browser_of(house: House, name: str) -> Browser:
    if name not in house.people:
        await house.person(name, password=PASSWORD)
    browser = Browser(house.web)
    assert (await browser.sign_in(name, PASSWORD)).status == 303
    return browser


async def expire(house: House) -> None:
    async def work(unit: Unit) -> None:
        await unit.execute("UPDATE device_grant SET expires_at = :now", now=unit.now)

    await house.services.db.write(work)


async def test_a_command_line_is_let_in(house: House) -> None:
    here = await read(house.web.with_headers({"host": HOST}), "/.well-known/openid-configuration")
    assert here["device_authorization_endpoint"] == f"http://{HOST}{CONNECT}/auth/device"
    assert here["token_endpoint"] == f"http://{HOST}{CONNECT}/token"
    grant = await begun(house)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", grant["user_code"])
    assert grant["verification_uri_complete"] == f"http://{HOST}/device?user_code={grant['user_code']}"
    waiting = await poll(house, grant)
    assert (waiting.status, waiting.json()["error"]) == (400, "authorization_pending")

    link = grant["verification_uri_complete"].removeprefix(f"http://{HOST}")
    stranger = Browser(house.web)
    first = await stranger.get(link)
    assert first.status == 303 and first.headers["location"].startswith("/login?next=%2Fdevice%3Fuser_code%3D")
    browser = await browser_of(house, "ann")
    page = await browser.get(link)
    assert grant["user_code"].encode() in page.body and b"The anaconda command line at" in page.body
    typed = f" {grant['user_code'].lower().replace('-', '')} "
    approved = await browser.post("/device", {"user_code": typed, "answer": "approve"})
    assert approved.status == 200 and b"goes on by itself" in approved.body

    given = await poll(house, grant)
    assert given.status == 200 and given.headers["cache-control"] == "no-store"
    access = given.json()
    assert (access["token_type"], access["expires_in"]) == ("Bearer", 300)
    assert (await poll(house, grant)).json()["error"] == "invalid_grant"  # once
    login = house.web.with_headers({"authorization": f"Bearer {access['access_token']}"})
    body = {"scopes": ["cloud:read", "cloud:write", "repo:read"], "tags": ["anaconda-auth/v0.15.3"]}
    made = await call(login, "POST", "/api/auth/api-keys", body)
    assert made.status == 201
    key = made.json()["api_key"]
    claims = jwt.decode(key, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 90 * 86_400
    assert claims["sid"] == claims["jti"] == made.json()["id"] and re.fullmatch(r"[0-9a-f-]{36}", claims["sub"])
    keyed = house.web.with_headers({"authorization": f"Bearer {key}"})
    assert (await read(keyed, "/api/account"))["username"] == "ann"
    published = jwt.PyJWKSet.from_dict(await read(house.web, f"{CONNECT}/certs"))
    kid = jwt.get_unverified_header(key)["kid"]
    assert jwt.decode(key, published[kid].key, algorithms=["RS256"])["preferred_username"] == "ann"

    events = (await read(house.admin, "/api/events"))["items"]
    types = [event["event_type"] for event in events]
    assert types[:3] == ["user_api_key_created", "user_signed_in", "command_line_approved"]
    assert (events[1]["meta"]["actor"], events[1]["data"]["by"]) == ("ann", "command_line")


async def test_an_approval_ends_with_the_login_it_was_given_in(house: House) -> None:
    """Whoever notices that they approved a stranger's command line changes the password."""
    for ending in (("DELETE", "/api/users/ann/logins", None), ("PUT", "/api/users/ann", {"password": PASSWORD + "!"})):
        grant = await begun(house)
        browser = await browser_of(house, "ann")
        await browser.post("/device", {"user_code": grant["user_code"], "answer": "approve"})
        assert (await call(house.admin, *ending)).status in (200, 204)
        refused = await poll(house, grant)
        assert (refused.status, refused.json()["error"]) == (400, "access_denied")


async def test_decided_logins_of_command_lines_keep_no_others_away(house: House) -> None:
    browser = await browser_of(house, "ann")
    for _ in range(2):
        grants = [await begun(house) for _ in range(30)]
        for grant in grants:
            assert (await browser.post("/device", {"user_code": grant["user_code"], "answer": "deny"})).status == 200


async def test_what_is_limited_or_kept_makes_no_further_key(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    answer = await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": PASSWORD})
    login = house.web.with_headers({"authorization": f"Bearer {answer.json()['token']}"})
    key = (await call(login, "POST", "/api/iam/api-keys", {})).json()["api_key"]
    for shown in ({"authorization": f"Bearer {key}"}, house.people["ann"].auth):
        refused = await call(house.web.with_headers(shown), "POST", "/api/auth/api-keys", {})
        assert (refused.status, refused.json()["code"]) == (403, "forbidden")
    assert (await call(house.web, "POST", "/api/auth/api-keys", {})).status == 401


async def test_a_key_is_listed_among_what_can_be_revoked(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    await house.person("bob")
    answer = await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": PASSWORD})
    login = house.web.with_headers({"authorization": f"Bearer {answer.json()['token']}"})
    made = (await call(login, "POST", "/api/iam/api-keys", {})).json()
    keyed = house.web.with_headers({"authorization": f"Bearer {made['api_key']}"})
    mine = await read(keyed, "/api/account/logins")
    assert [(one["id"], one["kind"], one["current"]) for one in mine["items"]][:1] == [(made["id"], "key", True)]
    hers = await read(house.admin, "/api/users/ann/logins")
    assert [one["id"] for one in hers["items"]] == [one["id"] for one in mine["items"]]
    assert (hers["total_count"], {one["current"] for one in hers["items"]}) == (2, {False})
    assert (await house.as_("bob").get("/api/users/ann/logins")).status == 403
    assert (await house.admin.get("/api/users/nobody/logins")).status == 404
    assert (await call(login, "DELETE", f"/api/account/logins/{made['id']}")).status == 204
    assert (await keyed.get("/api/account")).status == 401
    assert (await read(login, "/api/account/logins"))["total_count"] == 1


async def test_denied_expired_and_unknown_ones_give_nothing(house: House) -> None:
    browser = await browser_of(house, "ann")
    denied, late = await begun(house), await begun(house)
    answer = await browser.post("/device", {"user_code": denied["user_code"], "answer": "deny"})
    assert b"somebody else tried" in answer.body
    again = await browser.post("/device", {"user_code": denied["user_code"], "answer": "approve"})
    assert again.status == 404 and b"Nothing waits" in again.body
    assert (await poll(house, denied)).json()["error"] == "access_denied"
    await expire(house)
    assert (await browser.post("/device", {"user_code": late["user_code"], "answer": "approve"})).status == 404
    assert (await poll(house, late)).json()["error"] == "expired_token"
    for fields in ({"device_code": "0" * 64}, {"device_code": ""}):
        assert (await poll(house, late, **fields)).json()["error"] == "invalid_grant"
    other = await poll(house, late, client_id="somebody")
    assert (other.status, other.json()["error"]) == (401, "invalid_client")
    assert (await poll(house, late, grant_type="password")).json()["error"] == "unsupported_grant_type"
    assert (await post(house, f"{CONNECT}/auth/device", client_id="x")).json()["error"] == "invalid_client"


async def test_a_disabled_person_lets_nothing_in(house: House) -> None:
    browser, grant = await browser_of(house, "ann"), await begun(house)
    await browser.post("/device", {"user_code": grant["user_code"], "answer": "approve"})
    assert (await call(house.admin, "PUT", "/api/users/ann", {"disabled": True})).status == 200
    assert (await poll(house, grant)).json()["error"] == "access_denied"


async def test_a_command_line_that_asks_too_often_has_to_wait_longer(house: House) -> None:
    grant = await begun(house)
    fields = {"grant_type": DEVICE_CODE, "device_code": grant["device_code"], "client_id": CLIENT}
    said = [(await post(house, f"{CONNECT}/token", **fields)).json()["error"] for _ in range(3)]
    assert said == ["authorization_pending", "slow_down", "slow_down"]
    assert await house.services.db.fetch_value("SELECT wait FROM device_grant") == 15


async def test_only_the_browser_of_the_person_decides(house: House) -> None:
    browser, grant = await browser_of(house, "ann"), await begun(house)
    decision = {"user_code": grant["user_code"], "answer": "approve"}
    elsewhere = await browser.post("/device", decision, origin="https://evil.example")
    assert (elsewhere.status, elsewhere.json()["code"]) == (403, "cross_site")
    assert (await Browser(house.web).post("/device", decision)).status == 303
    by_token = await Browser(house.as_("ann")).post("/device", decision)  # a token is no browser
    assert by_token.status == 303
    assert (await browser.get(f"/device?user_code={grant['user_code']}")).status == 200
    assert (await poll(house, grant)).json()["error"] == "authorization_pending"


async def test_codes_are_not_guessed(house: House) -> None:
    browser, grant = await browser_of(house, "ann"), await begun(house)
    told = [(await browser.get(f"/device?user_code=BBBB-BBB{letter}")).status for letter in "BCDFGHJKLMNP"]
    assert told[0] == 404 and told[-1] == 429
    right = await browser.post("/device", {"user_code": grant["user_code"], "answer": "approve"})
    assert right.status == 429


async def test_strangers_cannot_fill_the_table(house: House) -> None:
    for _ in range(50):
        await begun(house)
    assert (await post(house, f"{CONNECT}/auth/device", client_id=CLIENT)).status == 429


async def test_neither_code_is_in_the_database(house: House) -> None:
    grant = await begun(house)
    rows = str(await house.services.db.fetch_all("SELECT * FROM device_grant"))
    assert grant["device_code"] not in rows and grant["user_code"] not in rows


async def test_addresses_are_those_people_use(backend: Backend) -> None:
    async with open_house(backend, public_url="https://packages.example.org") as house:
        here = await read(house.web, "/.well-known/openid-configuration")
        assert here["issuer"] == "https://packages.example.org"
        assert (await begun(house))["verification_uri"] == "https://packages.example.org/device"


async def test_a_host_that_somebody_made_up_is_no_address_of_ours(house: House) -> None:
    lying = await house.web.with_headers({"host": "evil.example"}).get("/.well-known/openid-configuration")
    assert lying.status == 400 and "public_url" in lying.json()["message"]
