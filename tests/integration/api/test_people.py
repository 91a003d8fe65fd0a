"""Profiles and roles over the management API: what is sent changes, the rest stays, and nobody gives what they lack."""

from __future__ import annotations

import json
from typing import Any

from packhouse.catalog.identities import store as providers
from packhouse.core.db import Unit
from packhouse.workflows.people import accounts
from tests.kit.asgi import Answer, Client
from tests.kit.calls import call, read
from tests.kit.house import House, basic
from tests.kit.inspection import findings
from tests.kit.staffing import set_disabled

PASSWORD = "correct horse battery"
PROFILE = {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.org", "email_verified": True}


async def change(house: House, name: str, body: dict[str, Any], by: str = "admin") -> Any:
    answer = await call(house.as_(by), "PUT", f"/api/users/{name}", body)
    return answer.json()


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


async def custom_role(house: House, name: str, **levels: int) -> None:
    """Make a role in the database."""

    async def work(unit: Any) -> None:
        number = await unit.fetch_value(
            "INSERT INTO role (name, created_at, updated_at) VALUES (:name, 0, 0) RETURNING id", name=name
        )
        for category, level in levels.items():
            await unit.execute(
                "INSERT INTO role_level (role_id, category, level) VALUES (:role, :category, :level)",
                role=number, category=category, level=level,
            )  # fmt: skip

    await house.services.db.write(work)


async def keeper(house: House) -> None:
    """Make somebody who looks after accounts."""
    await house.person("keeper", password=PASSWORD)
    assert (await change(house, "keeper", {"roles": ["user-administrator"]}))["roles"] == ["user-administrator"]


async def test_an_edit_changes_what_was_sent_and_nothing_else(house: House) -> None:
    made = await call(house.admin, "POST", "/api/users", {"username": "ann", "password": PASSWORD, **PROFILE})
    assert made.status == 201, made.body
    whole = made.json()
    assert PROFILE.items() <= whole.items()
    assert whole["roles"] == ["author"]
    edits: list[dict[str, Any]] = [{}, {"first_name": "Anne"}, {"disabled": True}, {"last_name": ""}, {"roles": []}]
    for sent in [*edits, {"disabled": False}]:
        whole |= sent
        answer = await change(house, "ann", sent)
        if "disabled" in sent:
            assert (answer["disabled_at"] is not None, answer["disabled_by"] == "admin") == (sent["disabled"],) * 2
            whole |= {name: answer[name] for name in ("disabled_at", "disabled_by")}
        assert {**answer, "role": whole["role"]} == whole
        assert answer == await read(house.admin, "/api/users/ann")
    assert (await change(house, "ann", {"email": "ann@example.org"}))["email_verified"] is True
    assert (await change(house, "ann", {"email": "other@example.org"}))["email_verified"] is False
    login = await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": PASSWORD})
    assert login.status == 200  # no edit touched the password


async def test_an_edit_is_done_whole_or_not_at_all(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    before = await read(house.admin, "/api/users/ann")
    for wrong in ({"email": "nowhere"}, {"roles": ["king"]}, {"roles": ["everyone"]}, {"last_name": "a\u200bb"}):
        answer = await call(house.admin, "PUT", "/api/users/ann", {"first_name": "X", "password": "y" * 20, **wrong})
        assert answer.status == 400, (wrong, answer.body)
        assert await read(house.admin, "/api/users/ann") == before
    assert (await house.web.with_headers({"authorization": basic("ann", PASSWORD)}).get("/api/account")).status == 200


async def test_the_account_tells_what_both_families_of_clients_read(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    await change(house, "ann", PROFILE)
    me = await read(house.as_("ann"), "/api/account")
    assert me["user"] == {
        "id": me["user_id"], "username": "ann", "email": "ann@example.org", "first_name": "Ann", "last_name": "Lee",
    }  # fmt: skip
    assert len(me["user_id"]) == 36
    assert me["profile"] == {"is_confirmed": True, "is_disabled": False, "has_second_factor": False}
    assert me["roles"] == me["dbroles"] == ["author"]
    assert (me["permissions"]["channel"], me["permissions"]["audit"]) == ("write", "none")
    assert me["default_channel_name"] is None
    assert (me["subscriptions"], me["organization_features"]) == ([], {})
    assert (await read(house.admin, "/api/account"))["permissions"]["audit"] == "manage"


async def test_people_edit_their_own_profile(house: House) -> None:
    await house.person("ann")
    await house.channel("mine", "private", "ann")
    await house.channel("theirs", "public", "admin")
    await house.channel("hidden", "private", "admin")
    ann = house.as_("ann")
    assert (await call(ann, "PUT", "/api/account", {"first_name": " Ann "})).json()["user"]["first_name"] == "Ann"
    mine = (await call(ann, "PUT", "/api/account", {"default_channel_name": "mine"})).json()
    assert (mine["default_channel_name"], mine["user"]["first_name"]) == ("mine", "Ann")
    assert (await call(ann, "PUT", "/api/account", {"default_channel_name": "theirs"})).status == 403
    hidden = await call(ann, "PUT", "/api/account", {"default_channel_name": "hidden"})
    absent = await call(ann, "PUT", "/api/account", {"default_channel_name": "absent"})
    assert (hidden.status, hidden.body) == (404, absent.body)
    assert (await call(ann, "PUT", "/api/account", {})).json()["default_channel_name"] == "mine"
    assert (await call(ann, "PUT", "/api/account", {"email": "root@example.org"})).status == 400
    none = (await call(ann, "PUT", "/api/account", {"default_channel_name": None})).json()
    assert none["default_channel_name"] is None
    told = (await read(house.admin, "/api/events?type=user_default_channel_updated"))["items"]
    assert [event["meta"]["actor"] for event in told] == ["ann", "ann"]


async def test_a_new_password_needs_the_old_one_and_ends_other_logins(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    login = {"username": "ann", "password": PASSWORD}
    session = (await call(house.web, "POST", "/api/auth/login", login)).json()["token"]
    bearer = house.web.with_headers({"authorization": f"Bearer {session}"})
    assert (await bearer.get("/api/account")).status == 200
    ann, path = house.as_("ann"), "/api/account/password"
    assert (await call(ann, "PUT", path, {"old_password": "wrong", "new_password": "new horse battery"})).status == 401
    assert (await call(ann, "PUT", path, {"old_password": PASSWORD, "new_password": "short"})).status == 400
    assert (await bearer.get("/api/account")).status == 200
    assert (await call(ann, "PUT", path, {"old_password": PASSWORD, "new_password": "new horse battery"})).status == 204
    assert (await bearer.get("/api/account")).status == 401
    assert (await ann.get("/api/account")).status == 200  # tokens are not logins
    assert (await call(house.web, "POST", "/api/auth/login", login)).status == 401
    fresh = await call(house.web, "POST", "/api/auth/login", {**login, "password": "new horse battery"})
    bearer = house.web.with_headers({"authorization": f"Bearer {fresh.json()['token']}"})
    assert (
        await call(bearer, "PUT", path, {"old_password": "new horse battery", "new_password": PASSWORD})
    ).status == 204
    assert (await bearer.get("/api/account")).status == 200  # the login that did it stays


async def test_who_looks_after_accounts_gives_nothing_they_lack(house: House) -> None:
    await keeper(house)
    await custom_role(house, "auditor", audit=1)
    await custom_role(house, "reader", channel=1)
    await house.person("ann", password=PASSWORD)
    await house.person("boss", "admin")
    mine = house.as_("keeper")
    for role in ("admin", "auditor"):
        assert (await call(mine, "PUT", "/api/users/ann", {"roles": ["author", role]})).status == 403
        assert (await call(mine, "POST", "/api/users", {"username": f"new-{role}", "role": role})).status == 403
        assert (await call(mine, "PUT", "/api/users/keeper", {"roles": [role]})).status == 403
    assert (await call(mine, "PUT", "/api/users/keeper", {"roles": ["author", "user-administrator"]})).status == 403
    assert (await change(house, "ann", {"roles": ["reader", "author"]}, "keeper"))["roles"] == ["author", "reader"]
    made = await call(mine, "POST", "/api/users", {"username": "new", "roles": ["user-administrator"]})
    assert made.status == 201

    await change(house, "ann", {"roles": ["author", "auditor"]})
    for hidden in ("ann", "boss", "admin"):
        for method, body in (
            ("GET", None),
            ("PUT", {"disabled": True}),
            ("PUT", {"password": "x" * 12}),
            ("DELETE", None),
        ):
            answer = await call(mine, method, f"/api/users/{hidden}", body)
            absent = await call(mine, method, "/api/users/absent", body)
            assert answer.status == 404
            assert answer.body.replace(hidden.encode(), b"absent") == absent.body
    listed = await read(mine, "/api/users")
    assert {user["username"] for user in listed["items"]} & {"ann", "boss", "admin"} == set()
    assert len(listed["items"]) == listed["total_count"]
    assert "keeper" in {user["username"] for user in listed["items"]}


async def test_a_token_gives_no_more_than_it_can_do(house: House) -> None:
    await house.person("ann")
    body = {"name": "offboarding", "scopes": ["account:manage"]}
    token = (await call(house.admin, "POST", "/api/account/tokens", body)).json()["token"]
    robot = house.web.with_headers({"x-auth": token})
    assert (await call(robot, "PUT", "/api/users/ann", {"disabled": True})).status == 200
    leaves = {"disabled": True, "heir": "keeper"}
    for more in ({"roles": ["admin"]}, {"password": "x" * 12}, leaves):
        assert (await call(robot, "PUT", "/api/users/ann", more)).status == 403
    assert (await call(robot, "DELETE", "/api/users/ann?heir=admin")).status == 403, "it opens no channel to anybody"
    assert (await call(robot, "POST", "/api/users", {"username": "eve", "role": "admin"})).status == 403


async def test_nobody_sets_their_own_password_without_the_old_one(house: House) -> None:
    """Whoever sits down at an open session, or finds a token, would have the account for good."""
    refused = await call(house.admin, "PUT", "/api/users/admin", {"password": "x" * 12})
    assert refused.status == 403
    assert "/api/account/password" in json.dumps(refused.json())
    assert (await call(house.admin, "PUT", "/api/users/admin", {"first_name": "Root"})).status == 200


async def test_one_edit_takes_the_role_and_disables(house: House) -> None:
    """The last administrator is kept by what is so after the edit, not before it."""
    await house.person("second", "admin")
    after = await change(house, "second", {"roles": ["author"], "disabled": True})
    assert (after["roles"], after["disabled"]) == (["author"], True)


async def test_a_role_counts_at_once_and_the_last_administrator_keeps_theirs(house: House) -> None:
    await house.person("ann")
    assert (await house.as_("ann").get("/api/events")).status == 403
    await custom_role(house, "auditor", audit=1)
    await change(house, "ann", {"roles": ["author", "auditor"]})
    assert (await house.as_("ann").get("/api/events")).status == 200
    await change(house, "ann", {"roles": ["author"]})
    assert (await house.as_("ann").get("/api/events")).status == 403
    assert (await call(house.admin, "PUT", "/api/users/admin", {"roles": ["author"]})).status == 409
    await house.channel("lab")
    for method, body in (("PUT", {"disabled": True}), ("DELETE", None)):
        kept = await call(house.admin, method, "/api/users/admin", body)
        assert (kept.status, b"the only administrator" in kept.body) == (409, True), kept.body
    assert (await change(house, "ann", {"roles": ["admin"]}))["role"] == "admin"
    assert (await change(house, "admin", {"roles": ["author"]}, "ann"))["roles"] == ["author"]
    told = (await read(house.as_("ann"), "/api/events?type=user_roles_changed"))["items"]
    assert len(told) == 4


async def names(house: House, query: str, by: str = "admin") -> list[str]:
    """Return whom a search finds; the total must be as many."""
    found = await read(house.as_(by), f"/api/users?{query}")
    assert found["total_count"] == len(found["items"])
    return [one["username"] for one in found["items"]]


async def come_from(house: House, name: str, provider: str, **profile: Any) -> None:
    """Make somebody whom a provider vouches for."""

    async def work(unit: Unit) -> None:
        row = await providers.ensure(unit, provider, "ldap")
        await accounts.create_account(unit, username=name, provider_id=row.id, **profile)

    await house.services.db.write(work)


async def test_people_are_found(house: House) -> None:
    await keeper(house)
    await custom_role(house, "auditor", audit=1)
    for name, first, last in (("ann", "Ann", "Lee"), ("bob", "Özgür", "Müller"), ("joanna", "Jo", "Ann_ers")):
        await house.person(name)
        await change(house, name, {"first_name": first, "last_name": last, "email": f"{name}@Example.org"})
    await come_from(house, "kim", "corp", first_name="Kim")
    await change(house, "ann", {"roles": ["author", "auditor"]})
    await change(house, "bob", {"disabled": True})
    for query, expected in (
        ("q=ANN", ["ann", "joanna"]), ("q=ann+lee", ["ann"]), ("q=example.org", ["ann", "bob", "joanna"]),
        ("q=%C3%B6zg", ["bob"]), ("q=M%C3%9CLLER", ["bob"]), ("q=n_", ["joanna"]), ("q=%25", []), ("q=nobody", []),
        ("disabled=true", ["bob"]), ("disabled=false&q=example", ["ann", "joanna"]), ("role=auditor", ["ann"]),
        ("role=auditor&q=bob", []), ("role=king", []), ("provider=corp", ["kim"]), ("provider=none", []),
        ("provider=&disabled=true", ["bob"]), ("provider=&q=kim", []),
    ):  # fmt: skip
        assert await names(house, query) == expected, query
    assert await names(house, "role=auditor", "keeper") == [], "whom they may not look after they do not find"
    assert await names(house, "q=ann", "keeper") == ["joanna"]
    page = await read(house.admin, "/api/users?q=ann&limit=1&offset=1")
    assert ([one["username"] for one in page["items"]], page["total_count"]) == (["joanna"], 2)
    assert (await house.admin.get("/api/users?disabled=perhaps")).status == 400
    assert (await house.admin.get("/api/users?q=a%00b")).status == 400


async def test_administrators_see_where_somebody_comes_from_and_who_shut_them_out(house: House) -> None:
    await keeper(house)
    await house.person("ann")
    await come_from(house, "kim", "corp")
    mine = house.as_("keeper")

    async def seen(by: Client, name: str) -> tuple[Any, ...]:
        (listed,) = (await read(by, f"/api/users?q={name}"))["items"]
        assert listed == await read(by, f"/api/users/{name}")
        return listed["provider"], listed["disabled"], listed["disabled_at"] is not None, listed["disabled_by"]

    assert await seen(house.admin, "ann") == (None, False, False, None)
    assert await seen(mine, "kim") == ("corp", False, False, None)
    await set_disabled(house.services.db, "kim", True, "directory")
    assert await seen(house.admin, "kim") == await seen(mine, "kim") == ("corp", True, True, "directory")
    refused = await call(house.admin, "PUT", "/api/users/kim", {"disabled": False, "first_name": "Kim"})
    assert (refused.status, "provider" in str(refused.json())) == (409, True)
    assert await seen(house.admin, "kim") == ("corp", True, True, "directory"), "the provider would do so again"
    await change(house, "ann", {"disabled": True})
    assert await seen(house.admin, "ann") == (None, True, True, "admin")
    assert await seen(mine, "ann") == (None, True, True, None), "to them there is no such account"
    await change(house, "ann", {"disabled": False})
    assert await seen(house.admin, "ann") == (None, False, False, None)


async def test_whoever_cannot_log_in_is_no_administrator_to_count_on_and_no_heir(house: House) -> None:
    db = house.services.db
    assert (await call(house.admin, "POST", "/api/users", {"username": "ghost", "roles": ["admin"]})).status == 201
    await house.person("ann")
    await house.channel("team", owner="ann")
    for body in ({"disabled": True}, {"roles": ["author"]}):
        assert refusal(await call(house.admin, "PUT", "/api/users/admin", body)) == (409, "conflict")
    assert refusal(await call(house.admin, "DELETE", "/api/users/ann?heir=ghost")) == (409, "conflict")
    assert refusal(await call(house.admin, "PUT", "/api/channels/team", {"owner": "ghost"})) == (409, "conflict")

    async def known_elsewhere(unit: Unit) -> None:
        await unit.execute("INSERT INTO provider (id, name, kind) VALUES (1, 'corp', 'ldap')")
        ghost = "SELECT 1, 'subject', id, 0 FROM account WHERE username = 'ghost'"
        await unit.execute(f"INSERT INTO identity (provider_id, subject, account_id, seen_at) {ghost}")

    await db.write(known_elsewhere)
    assert (await call(house.admin, "DELETE", "/api/users/ann?heir=ghost")).status == 204
    assert (await call(house.admin, "PUT", "/api/users/admin", {"disabled": True})).status == 200
    assert await findings(house.services) == []


async def test_an_administrator_who_cannot_log_in_can_go(house: House) -> None:
    made = {"username": "ghost", "roles": ["admin"]}
    assert (await call(house.admin, "POST", "/api/users", made)).status == 201
    assert (await call(house.admin, "PUT", "/api/users/ghost", {"disabled": True})).status == 200
    assert (await call(house.admin, "DELETE", "/api/users/ghost")).status == 204
