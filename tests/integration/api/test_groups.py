"""Groups: who sees them, who changes them, and that nobody lets anybody have what they lack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from packhouse.catalog import changes
from packhouse.catalog.groups import membership, store
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.sharing.groups import create_group
from tests.kit.calls import call, read
from tests.kit.house import House
from tests.kit.town import give_roles


async def made(house: House, who: str, name: str, **more: Any) -> Any:
    answer = await call(house.as_(who), "POST", "/api/groups", {"name": name, **more})
    assert answer.status == 201, answer.body
    return answer.json()


async def put_in(house: House, who: str, group: str, user: str, level: str = "read") -> int:
    body = {"level": level}
    return (await call(house.as_(who), "PUT", f"/api/groups/{group}/members/{user}", body)).status


async def test_who_is_put_into_a_group_is_answered_as_the_list_shows_them(house: House) -> None:
    await made(house, "admin", "team")
    for level, changed in (("read", True), ("write", True), ("write", False)):
        answer = await call(house.admin, "PUT", "/api/groups/team/members/owner", {"level": level})
        _, shown = (await read(house.admin, "/api/groups/team/members"))["items"]
        assert (answer.status, answer.json()) == (200, {**shown, "changed": changed})
        assert (shown["username"], shown["level"]) == ("owner", level)


async def events(house: House, object_: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (type, actor, data) of what was said about something, oldest first."""
    found = await house.services.db.fetch_all(
        "SELECT type, actor, data FROM event WHERE object = :object ORDER BY id", object=object_
    )
    return [(row[0], row[1], json.loads(row[2])) for row in found]


async def test_a_group_from_its_beginning_to_its_end(house: House) -> None:
    assert (await call(house.as_("owner"), "POST", "/api/groups", {"name": "team"})).status == 403
    shown = await made(house, "admin", "team", description="We.")
    assert (shown["level"], shown["member_count"], shown["channel"], shown["roles"]) == ("manage", 1, None, [])
    assert (await call(house.admin, "POST", "/api/groups", {"name": "team"})).status == 409
    assert await put_in(house, "admin", "team", "owner") == 200
    seen = await read(house.as_("owner"), "/api/groups/team")
    assert (seen["level"], seen["member_count"]) == ("read", 2)
    members = await read(house.as_("owner"), "/api/groups/team/members")
    assert [(one["username"], one["level"], one["by_hand"]) for one in members["items"]] == [
        ("admin", "manage", True),
        ("owner", "read", True),
    ]
    edited = (await call(house.admin, "PUT", "/api/groups/team", {"name": "crew"})).json()
    assert (edited["name"], edited["description"], edited["changed"]) == ("crew", "We.", True)
    assert not (await call(house.admin, "PUT", "/api/groups/crew", {"name": "crew"})).json()["changed"]
    assert (await call(house.admin, "PUT", "/api/groups/crew", {"roles": ["author"]})).json()["changed"]
    before, edited = edited, (await call(house.admin, "PUT", "/api/groups/crew", {"roles": []})).json()
    assert (edited["name"], edited["description"]) == ("crew", "We.")
    assert edited["updated_at"] > before["updated_at"]
    assert (await call(house.admin, "DELETE", "/api/groups/crew/members/owner")).status == 204
    assert (await house.as_("owner").get("/api/groups/crew")).status == 404
    assert (await call(house.admin, "DELETE", "/api/groups/crew")).status == 204
    assert (await house.admin.get("/api/groups/crew")).status == 404
    assert [type_ for type_, _, _ in await events(house, "group team")] == [
        "group_created",
        "group_user_added",
        "group_updated",
    ]
    assert [type_ for type_, _, _ in await events(house, "group crew")] == [
        "group_updated",
        "group_updated",
        "group_user_deleted",
        "group_deleted",
    ]


async def test_who_is_not_in_a_group_cannot_tell_it_from_none(house: House) -> None:
    await made(house, "admin", "team")
    for client in (house.web, house.as_("outsider")):
        for method, tail, body in (
            ("GET", "", None),
            ("PUT", "", {"name": "x"}),
            ("DELETE", "", None),
            ("GET", "/members", None),
            ("PUT", "/members/outsider", {}),
            ("DELETE", "/members/admin", None),
        ):
            hidden = await call(client, method, f"/api/groups/team{tail}", body)
            missing = await call(client, method, f"/api/groups/none{tail}", body)
            assert (hidden.status, hidden.body) == (missing.status, missing.body), (method, tail)
            assert hidden.status == 404
    assert (await read(house.as_("outsider"), "/api/groups"))["total_count"] == 0
    assert (await house.web.get("/api/groups")).status == 401


async def test_levels_in_a_group_are_about_the_group(house: House) -> None:
    await made(house, "admin", "team")
    assert await put_in(house, "admin", "team", "owner", "write") == 200
    assert await put_in(house, "owner", "team", "outsider") == 403
    refused = await call(house.as_("owner"), "PUT", "/api/groups/team", {"description": "mine"})
    assert refused.status == 403 and "Who manages the group" in refused.body.decode()
    assert await put_in(house, "admin", "team", "owner", "manage") == 200
    assert await put_in(house, "owner", "team", "outsider") == 200
    assert await put_in(house, "owner", "team", "nobody") == 404
    assert await put_in(house, "owner", "team", "outsider", "reign") == 400
    assert (await read(house.as_("outsider"), "/api/groups"))["items"][0]["name"] == "team"


async def test_nobody_gives_a_role_or_channels_that_they_lack(house: House) -> None:
    await made(house, "admin", "team")
    await made(house, "admin", "rulers", roles=["admin"])
    await put_in(house, "admin", "team", "owner", "manage")
    answers = [
        await call(house.as_("owner"), "PUT", "/api/groups/team", {"roles": [role]}) for role in ("admin", "none")
    ]
    assert [answer.status for answer in answers] == [403, 403]
    assert answers[0].body.decode().replace("admin", "none") == answers[1].body.decode().replace("admin", "none")
    assert (await call(house.as_("owner"), "PUT", "/api/groups/team", {"roles": ["author"]})).status == 200
    # a role that lets its holder manage every group lets them into none that gives more than they have
    keeper = house.people["outsider"].principal.account_id

    async def keeps_groups(unit: Unit) -> None:
        await unit.execute(
            "INSERT INTO role (id, name, description, builtin, created_at, updated_at)"
            " VALUES (77, 'keeper', '', FALSE, 0, 0)"
        )
        await unit.execute("INSERT INTO role_level (role_id, category, level) VALUES (77, 'channel.group', 3)")
        await unit.execute("INSERT INTO account_role (account_id, role_id, source_id) VALUES (:id, 77, 0)", id=keeper)
        await changes.note(unit, "people")

    await house.services.db.write(keeps_groups)
    await house.caught_up()
    assert await put_in(house, "outsider", "team", "outsider") == 200
    assert await put_in(house, "outsider", "rulers", "outsider") == 403
    secret = await house.channel("secret", "private")
    rows = await read(house.admin, "/api/groups/rulers")

    async def shares(unit: Unit) -> None:
        group = await store.by_name(unit, "team")
        assert group is not None and rows["roles"] == ["admin"]
        await unit.execute(
            "INSERT INTO group_grant (channel_id, group_id, level) VALUES (:c, :g, 1)", c=secret.id, g=group.id
        )
        await store.drop_member(unit, group.id, keeper or 0)

    await house.services.db.write(shares)
    refused = await call(house.as_("outsider"), "PUT", "/api/groups/team/members/outsider", {})
    assert refused.status == 403 and "secret" not in refused.body.decode()


async def test_a_list_has_no_cap(house: House) -> None:
    for number in range(250):
        await made(house, "admin", f"g{number:03}")
    page = await read(house.admin, "/api/groups?limit=1000")
    assert (len(page["items"]), page["total_count"]) == (250, 250)
    assert [group["name"] for group in page["items"]] == sorted(group["name"] for group in page["items"])
    assert (await read(house.admin, "/api/groups?q=g24&limit=3"))["total_count"] == 10


@pytest.mark.parametrize("name", ["", "Team", "a/b", "team_owners", " team", "team ", "x" * 129, "te\u0430m"])
async def test_a_name_is_refused_with_what_can_be_one(house: House, name: str) -> None:
    answer = await call(house.admin, "POST", "/api/groups", {"name": name})
    assert answer.status == 400 and answer.json()["detail"]


async def test_what_a_directory_says_is_taken_away_by_the_directory(house: House) -> None:
    await made(house, "admin", "team")
    person = house.people["owner"].principal.account_id or 0

    async def says(unit: Unit, *groups: int) -> bool:
        return await membership.replace(unit, person, 5, groups, [2, 999])

    async def first(unit: Unit) -> bool:
        await unit.execute("INSERT INTO provider (id, name, kind) VALUES (5, 'corp', 'ldap')")
        group = await store.by_name(unit, "team")
        assert group is not None
        assert await says(unit, group.id, 4711)
        return await says(unit, group.id, 4711)

    assert not await house.services.db.write(first)
    [_, member] = (await read(house.as_("owner"), "/api/groups/team/members"))["items"]
    assert (member["username"], member["by_hand"], member["providers"]) == ("owner", False, ["corp"])
    refused = await call(house.admin, "DELETE", "/api/groups/team/members/owner")
    assert refused.status == 409 and "directory" in refused.body.decode()
    await put_in(house, "admin", "team", "owner", "manage")
    assert (await call(house.admin, "DELETE", "/api/groups/team/members/owner")).status == 204
    assert (await read(house.as_("owner"), "/api/groups/team"))["level"] == "read"
    assert await house.services.db.write(says)
    assert (await house.as_("owner").get("/api/groups/team")).status == 404
    assert ("group_user_deleted", "directory", {"user": "owner"}) in await events(house, "group team")


async def test_nobody_keeps_by_hand_whom_they_could_not_let_in(house: House) -> None:
    """Somebody whom a directory put there would stay in the group when it takes them out."""
    await house.person("keeper")
    await house.person("kim")
    await house.channel("lab", "private", "owner")
    await made(house, "admin", "team")
    assert (await call(house.admin, "PUT", "/api/channels/lab/groups/team", {"level": "read"})).status == 200

    async def work(unit: Unit) -> None:
        await give_roles(unit, {"keeper": {"channel.group": 3}})
        found = await store.by_name(unit, "team")
        assert found is not None
        await store.set_member(unit, found.id, house.people["kim"].principal.account_id or 0, 0, source_id=7)

    await house.services.db.write(work)
    await house.caught_up()
    assert await put_in(house, "keeper", "team", "outsider") == 403
    assert await put_in(house, "keeper", "team", "kim") == 403
    assert await put_in(house, "admin", "team", "kim") == 200
    assert await put_in(house, "keeper", "team", "kim", "manage") == 403  # who manages it lets others in
    assert await put_in(house, "admin", "team", "kim", "manage") == 200
    assert await put_in(house, "keeper", "team", "kim", "read") == 200  # taking away needs nothing


async def test_whoever_is_deleted_meanwhile_makes_no_group(house: House) -> None:
    await house.person("ann")
    number = int(await house.services.db.fetch_value("SELECT id FROM account WHERE username = 'ann'"))
    assert (await call(house.admin, "DELETE", "/api/users/ann")).status == 204
    with pytest.raises(PackhouseError) as error:  # what a process that has not heard of it remembers
        await create_group(house.services, Principal(number, "ann", "author"), "team", "", ())
    assert error.value.code == "unauthenticated"
    assert (await call(house.admin, "GET", "/api/groups/team")).status == 404
