"""What has ended makes nothing that stays, also in a process that has not heard of it yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from packhouse.catalog.changes import ChangeFeed
from packhouse.workflows.admitting.authenticator import Authenticator
from tests.kit import staffing
from tests.kit.asgi import Client
from tests.kit.calls import call, read
from tests.kit.code_flow import anaconda_asks, carried, exchange
from tests.kit.house import House, basic
from tests.kit.pages import Browser

PASSWORD, OTHER = "correct horse battery", "another horse battery"
LEFT = """SELECT (SELECT count(*) FROM token JOIN account ON account.id = created_by WHERE username = :name),
 (SELECT count(*) FROM login JOIN account ON account.id = account_id WHERE username = :name AND ended_at IS NULL),
 (SELECT count(*) FROM channel_grant),
 (SELECT username FROM channel JOIN account ON account.id = owner_id WHERE path = 'hers')"""


def deafen(patch: pytest.MonkeyPatch) -> None:
    """Let this process hear of no change, as it would if another one had made it a moment ago."""
    patch.setattr(ChangeFeed, "_take", lambda *_: None)
    patch.setattr(Authenticator, "forget", lambda *_: None)


async def logged_in(house: House, name: str) -> Client:
    token = (await call(house.web, "POST", "/api/auth/login", {"username": name, "password": PASSWORD})).json()["token"]
    return house.web.with_headers({"authorization": f"Bearer {token}"})


async def by_password(house: House, name: str) -> Client:
    return house.web.with_headers({"authorization": basic(name, PASSWORD)})


async def by_token(house: House, name: str) -> Client:
    """Show a token that ends in time, which bounds what is made by it."""
    wanted = {"name": "short", "expires_at": "2098-01-01"}
    token = (await call(house.as_(name), "POST", "/api/account/tokens", wanted)).json()["token"]
    return house.web.with_headers({"x-auth": token})


async def new_password(house: House, name: str) -> None:
    await staffing.set_password(house.services.db, name, OTHER, "admin")


async def disabled(house: House, name: str) -> None:
    await staffing.set_disabled(house.services.db, name, True, "admin")


async def revoked(house: House, name: str) -> None:
    for token in (await read(house.as_(name), "/api/account/tokens"))["items"]:
        if token["name"] == "short":
            assert (await call(house.admin, "DELETE", f"/api/account/tokens/{token['id']}")).status == 204


@pytest.mark.parametrize(
    ("shows", "ends"),
    [(logged_in, new_password), (by_password, new_password), (by_token, revoked), (by_token, disabled)],
)
async def test_what_has_ended_makes_nothing(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    shows: Callable[[House, str], Awaitable[Client]],
    ends: Callable[[House, str], Awaitable[None]],
) -> None:
    await house.person("ann", password=PASSWORD)
    await house.channel("hers", owner="ann")
    machine = (await call(house.as_("ann"), "POST", "/api/channels/hers/service-accounts")).json()["id"]
    client = await shows(house, "ann")
    assert (await client.get("/api/account")).status == 200
    deafen(monkeypatch)
    await ends(house, "ann")
    before = await house.services.db.fetch_one(LEFT, name="ann")
    own = house.people["ann"].token_id
    wanted: list[tuple[str, str, Any]] = [
        ("POST", "/api/account/tokens", {"name": "more"}),
        ("POST", "/api/account/tokens", {"name": "later", "expires_at": "2099-01-01"}),
        ("PUT", f"/api/account/tokens/{own}", {}),
        ("POST", f"/api/channels/hers/service-accounts/{machine}/tokens", {"name": "a machine's", "max_days": 365}),
        ("PUT", "/api/channels/hers/users/outsider", {"level": "manage"}),
        ("PUT", "/api/channels/hers", {"owner": "outsider"}),
        ("POST", "/api/auth/api-keys", {}),
    ]
    for method, path, body in wanted:
        answer = await call(client, method, path, body)
        refused = (401, 403) if path == "/api/auth/api-keys" else (401,)  # a token makes no API key anyhow
        assert answer.status in refused, (method, path, answer.status, answer.body)
    assert await house.services.db.fetch_one(LEFT, name="ann") == before


async def test_an_administrator_no_more_gives_nobody_anything(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await call(house.admin, "POST", "/api/roles", {"name": "keeper", "levels": {"policy": "read"}})
    for name in ("disabled", "demoted"):
        await house.person(name, "admin")
        assert (await house.as_(name).get("/api/users")).status == 200
    deafen(monkeypatch)
    assert (await call(house.admin, "PUT", "/api/users/disabled", {"disabled": True})).status == 200
    assert (await call(house.admin, "PUT", "/api/users/demoted", {"roles": ["author"]})).status == 200
    for name, status in (("disabled", 401), ("demoted", 403)):
        client = house.as_(name)
        wanted: list[tuple[str, str, Any]] = [
            ("POST", "/api/users", {"username": f"of-{name}", "password": PASSWORD, "roles": ["admin"]}),
            ("PUT", f"/api/users/{name}", {"roles": ["admin"], "disabled": False}),
            ("PUT", "/api/users/outsider", {"password": OTHER}),
            ("PUT", "/api/roles/keeper", {"levels": {"policy": "manage"}}),
            ("POST", "/api/groups", {"name": f"of-{name}", "roles": ["admin"]}),
        ]
        for method, path, body in wanted:
            answer = await call(client, method, path, body)
            assert answer.status == status, (name, method, path, answer.status, answer.body)
    people = {one["username"]: one["roles"] for one in (await read(house.admin, "/api/users"))["items"]}
    assert people["demoted"] == ["author"] and not {"of-disabled", "of-demoted"} & set(people)
    monkeypatch.undo()
    await house.caught_up()
    assert (await house.as_("demoted").get("/api/users")).status == 403


async def test_who_makes_tokens_by_a_stolen_code_while_it_is_shown_again_keeps_none(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    browser = Browser(house.web)
    assert (await browser.sign_in("ann", PASSWORD)).status == 303
    code = (await carried(browser, anaconda_asks()))["code"]
    access = (await exchange(house.web, code)).json()["access_token"]
    thief = house.web.with_headers({"authorization": f"Bearer {access}"})
    first = await call(thief, "POST", "/api/account/tokens", {"name": "first"})
    heir = house.web.with_headers({"x-auth": first.json()["token"]})
    made = await asyncio.gather(
        *(call(who, "POST", "/api/account/tokens", {"name": f"{name} {number}"})
          for number in range(4) for who, name in ((thief, "login"), (heir, "token"))),
        exchange(house.web, code),
    )  # fmt: skip
    assert first.status == 200 and made.pop().status == 400
    assert {answer.status for answer in made} <= {200, 401}
    tokens = [answer.json()["token"] for answer in [first, *made] if answer.status == 200]
    await house.caught_up()
    for token in tokens:
        assert (await house.web.with_headers({"x-auth": token}).get("/api/account")).status == 401
    assert (await house.as_("ann").get("/api/account")).status == 200
