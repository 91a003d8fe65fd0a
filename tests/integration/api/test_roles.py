"""Roles over the management API: what they give, who may change them, and that nobody gives what they lack."""

from __future__ import annotations

from typing import Any

import pytest

from packhouse.catalog.changes import note
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.permissions import ACTIONS, CATEGORIES
from packhouse.core.db import Unit
from packhouse.doors.api.permissions import ROUTES
from packhouse.workflows.people import tokens
from tests.kit.asgi import Client
from tests.kit.calls import call, read
from tests.kit.house import House
from tests.kit.keys import SEALER


async def give(house: House, name: str, role: str) -> None:
    """Let somebody hold a role besides."""
    person = house.people[name].principal.account_id

    async def work(unit: Unit) -> None:
        await unit.execute(
            "INSERT INTO account_role (account_id, role_id) SELECT :person, id FROM role WHERE name = :role",
            person=person,
            role=role,
        )
        await note(unit, "people")

    await house.services.db.write(work)
    await house.caught_up()


async def make(client: Client, name: str, **more: Any) -> int:
    return (await call(client, "POST", "/api/roles", {"name": name, **more})).status


async def change(client: Client, role: str, **more: Any) -> Any:
    answer = await call(client, "PUT", f"/api/roles/{role}", more)
    return answer.json() if answer.status == 200 else (answer.status, answer.json()["code"])


async def events(house: House, type_: str) -> list[Any]:
    items = (await read(house.admin, f"/api/events?type={type_}"))["items"]
    return [(item["meta"]["actor"], item["meta"]["object"], item["data"]) for item in items]


async def test_every_installation_has_four_roles_as_the_table_says(house: House) -> None:
    listed = await read(house.admin, "/api/roles")
    assert listed["total_count"] == 4
    roles = {role["name"]: role for role in listed["items"]}
    assert list(roles) == ["admin", "author", "everyone", "user-administrator"]
    assert all(role["builtin"] for role in roles.values())
    assert [name for name, role in roles.items() if not role["editable"]] == ["admin"]
    assert [name for name, role in roles.items() if role["default"]] == ["author"]
    assert set(roles["admin"]["levels"].values()) == {"manage"}
    for name, row in CATEGORIES.items():
        assert roles["everyone"]["levels"][name] == row.everyone.name.lower()
        assert roles["author"]["levels"][name] == row.author.name.lower()
    assert roles["user-administrator"]["levels"] == {
        **roles["author"]["levels"],
        "account": "manage",
        "roles": "read",
    }
    assert (roles["admin"]["accounts"], roles["author"]["accounts"]) == (1, 2)
    assert (await read(house.admin, "/api/roles?limit=1&offset=1"))["items"] == [roles["author"]]
    assert await read(house.admin, "/api/roles/author") == roles["author"]


async def test_the_table_is_told_to_whoever_has_an_account(house: House) -> None:
    assert (await house.web.get("/api/permissions")).status == 401
    table = await read(house.as_("outsider"), "/api/permissions")
    assert table["levels"] == ["none", "read", "write", "manage"]
    assert [row["name"] for row in table["categories"]] == list(CATEGORIES)
    assert {row["action"]: (row["category"], row["level"]) for row in table["actions"]} == {
        action: (category, level.name.lower()) for action, (category, level) in ACTIONS.items()
    }
    assert {(row["method"], row["path"]): row["action"] for row in table["routes"]} == ROUTES


async def test_a_role_gives_what_it_says_and_takes_it_away(house: House) -> None:
    outsider = house.as_("outsider")
    assert (await outsider.get("/api/events")).status == 403
    assert await make(house.admin, "auditor", description="Looks.", levels={"audit": "read", "cve": "read"}) == 201
    await give(house, "outsider", "auditor")
    assert (await outsider.get("/api/events")).status == 200
    assert (await outsider.get("/api/statements")).status == 200
    changed = await change(house.admin, "auditor", levels={"audit": "none"})
    assert (changed["levels"]["audit"], changed["levels"]["cve"]) == ("none", "read")
    assert (changed["description"], changed["accounts"]) == ("Looks.", 1)
    assert (await outsider.get("/api/events")).status == 403
    assert (await outsider.get("/api/statements")).status == 200
    assert await events(house, "role_created") == [
        ("admin", "role auditor", {"levels": {"audit": "read", "cve": "read"}})
    ]
    assert await events(house, "role_updated") == [
        ("admin", "role auditor", {"levels": {"audit": "read -> none"}}),
    ]


async def test_what_everybody_may_do_is_a_role_too(house: House) -> None:
    await house.channel("open")
    await house.upload("open", "tea")
    assert (await house.web.get("/api/channels/open/artifacts")).status == 200
    await change(house.admin, "everyone", levels={"artifact": "none", "channel": "none"})
    await change(house.admin, "author", levels={"artifact": "none"})
    assert (await house.web.get("/api/channels/open/artifacts")).status == 401
    assert (await house.web.get("/api/channels")).status == 401
    assert (await house.as_("outsider").get("/api/channels/open/artifacts")).status == 200  # channel is read, by author
    assert (await house.as_("outsider").get("/api/channels/open/artifacts/conda/tea")).status == 403
    assert (await house.as_("outsider").get("/api/repo/open/noarch/tea-1.0-0.conda")).status == 403


@pytest.mark.parametrize(
    "levels",
    [{"account": "read"}, {"channel": "write"}, {"artifact": "manage"}, {"system": "read"}, {"audit": "write"}],
)
async def test_whoever_shows_no_credential_gets_nothing_that_changes(house: House, levels: dict[str, str]) -> None:
    assert await change(house.admin, "everyone", levels=levels) == (400, "bad_request")


async def test_builtin_roles_keep_their_names_and_stay(house: House) -> None:
    for name in ("admin", "author", "everyone", "user-administrator"):
        assert (await call(house.admin, "DELETE", f"/api/roles/{name}")).status == 409
        assert await change(house.admin, name, name="another") == (409, "conflict")
    for edit in ({"levels": {"cve": "none"}}, {"description": "x"}, {"default": True}):
        assert await change(house.admin, "admin", **edit) == (409, "conflict")
    assert await change(house.admin, "everyone", default=True) == (409, "conflict")


async def test_a_role_in_use_is_not_deleted(house: House) -> None:
    await make(house.admin, "helper", levels={"cve": "read"}, default=True)
    await give(house, "outsider", "helper")
    refused = await call(house.admin, "DELETE", "/api/roles/helper")
    assert refused.status == 409
    assert "1 account and new accounts get it" in refused.json()["message"]
    await house.services.db.write(lambda unit: unit.execute("DELETE FROM account_role WHERE role_id > 4"))
    assert (await call(house.admin, "DELETE", "/api/roles/helper")).status == 409
    assert (await change(house.admin, "helper", default=False))["default"] is False
    assert (await call(house.admin, "DELETE", "/api/roles/helper")).status == 204
    assert (await house.admin.get("/api/roles/helper")).status == 404
    assert await events(house, "role_deleted") == [("admin", "role helper", {"levels": {"cve": "read"}})]


async def test_what_new_accounts_get_is_told_apart(house: House) -> None:
    await make(house.admin, "helper", default=True)
    await change(house.admin, "helper", name="helping", levels={"cve": "read"})
    await change(house.admin, "author", default=False)
    roles = (await read(house.admin, "/api/roles"))["items"]
    assert [role["name"] for role in roles if role["default"]] == ["helping"]
    assert await events(house, "auto_role_added") == [("admin", "role helper", {})]
    assert await events(house, "auto_role_updated") == [("admin", "role helping", {})]
    assert await events(house, "auto_role_deleted") == [("admin", "role author", {})]


async def test_an_edit_that_changes_nothing_leaves_no_trace(house: House) -> None:
    before = await house.services.db.fetch_one("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM change)")
    assert (await change(house.admin, "author", levels={"channel": "write"}, description=AUTHORS))["name"] == "author"
    after = await house.services.db.fetch_one("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM change)")
    assert before == after


AUTHORS = "Whoever has an account: reads what is open to them and makes channels."


async def test_nobody_gives_what_they_lack(house: House) -> None:
    """One who may change roles raises none above what they have, and has nobody begin with more than that."""
    await make(house.admin, "keeper", levels={"roles": "manage"})
    await make(house.admin, "strong", levels={"policy": "manage"})
    await give(house, "outsider", "keeper")
    outsider = house.as_("outsider")
    for levels in ({"audit": "read"}, {"policy": "write"}, {"account": "manage"}, {"channel": "manage"}):
        assert await make(outsider, "mine", levels=levels) == 403
        assert await change(outsider, "keeper", levels=levels) == (403, "forbidden")
        assert await change(outsider, "author", levels=levels) == (403, "forbidden")
    assert await change(outsider, "strong", default=True) == (403, "forbidden")
    assert await make(outsider, "mine", levels={"channel": "write", "roles": "manage"}, default=True) == 201


async def test_nobody_takes_away_what_they_lack(house: House) -> None:
    """Who may change roles lowers, renames and deletes only what they could have given."""
    await make(house.admin, "keeper", levels={"roles": "manage"})
    await make(house.admin, "strong", levels={"policy": "manage", "cve": "read", "roles": "read"})
    await make(house.admin, "weak", levels={"roles": "read"}, default=True)
    await give(house, "outsider", "keeper")
    outsider = house.as_("outsider")
    for edit in ({"levels": {"policy": "write"}}, {"levels": {"policy": "none"}}, {"name": "other"}):
        assert await change(outsider, "strong", **edit) == (403, "forbidden")
    assert (await call(outsider, "DELETE", "/api/roles/strong")).status == 403
    assert (await change(outsider, "strong", levels={"roles": "none"}))["levels"]["policy"] == "manage"
    assert (await change(outsider, "weak", name="other", default=False))["default"] is False
    assert (await call(outsider, "DELETE", "/api/roles/other")).status == 204
    await change(house.admin, "strong", default=True)
    assert await change(outsider, "strong", default=False) == (403, "forbidden")


async def test_a_limited_token_gives_nothing(house: House) -> None:
    db = house.services.db
    admin = house.people["admin"].principal
    _, value = await tokens.create(db, await load_keys(db, SEALER), admin, "roles", ["roles:view", "roles:edit"], None)
    limited = house.web.with_headers({"x-auth": value})
    assert (await limited.get("/api/roles")).status == 200
    assert await make(limited, "mine", levels={"cve": "read"}) == 403
    assert await change(limited, "author", levels={"cve": "manage"}) == (403, "forbidden")
    assert (await house.admin.get("/api/roles/mine")).status == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "Nice"}, "not a name of a role"),
        ({"name": "a b"}, "not a name of a role"),
        ({"name": "x", "levels": {"chanel": "read"}}, "no category"),
        ({"name": "x", "levels": {"channel": "all"}}, "no level"),
        ({"name": "x", "level": {}}, "unknown member"),
        ({"name": "author"}, "already a role"),
    ],
)
async def test_what_cannot_be_a_role_is_refused_with_why(house: House, body: Any, said: str) -> None:
    answer = await call(house.admin, "POST", "/api/roles", body)
    assert answer.status in (400, 409)
    assert said in answer.json()["message"]


async def test_the_refusal_names_what_was_meant(house: House) -> None:
    answer = await call(house.admin, "POST", "/api/roles", {"name": "x", "levels": {"chanel": "read"}})
    assert "`channel`" in answer.json()["message"]
    assert await change(house.admin, "nobody", description="x") == (404, "not_found")
    assert await change(house.admin, "author", name="x") == (409, "conflict")
    await make(house.admin, "one")
    await make(house.admin, "two")
    assert await change(house.admin, "one", name="two") == (409, "conflict")
    assert (await change(house.admin, "one", name="three"))["name"] == "three"


async def test_who_may_not_see_roles(house: House) -> None:
    for method, path in (("GET", "/api/roles"), ("GET", "/api/roles/author"), ("GET", "/api/roles/nothing")):
        assert (await house.web.request(method, path)).status == 401
        assert (await house.as_("outsider").request(method, path)).status == 403
    await give(house, "outsider", "user-administrator")
    assert (await house.as_("outsider").get("/api/roles")).status == 200
    assert await make(house.as_("outsider"), "mine") == 403
