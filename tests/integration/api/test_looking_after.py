"""Whoever looks after accounts acts for nobody who reaches more than they: roles, channels and machines count."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from packhouse.catalog.accounts.looking_after import looked_after
from packhouse.workflows.signin import administering
from tests.kit import staffing
from tests.kit.asgi import Client
from tests.kit.calls import call, read
from tests.kit.house import House

PASSWORD = "correct horse battery"
SECRET = "/api/channels/secretproject"
#: what decides how somebody logs in: method, what follows their name, body
ACTS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("PUT", "", {"password": PASSWORD}),
    ("DELETE", "/totp", None),
    ("DELETE", "", None),
)


async def keeper(house: House) -> Client:
    """Make an author who looks after accounts."""
    await house.person("keeper")
    body = {"roles": ["author", "user-administrator"]}
    assert (await call(house.admin, "PUT", "/api/users/keeper", body)).status == 200
    return house.as_("keeper")


async def machine(house: House) -> dict[str, Any]:
    """Make a private channel with a service account, which has a token that manages it."""
    await house.channel("secretproject", "private", "owner")
    made = (await call(house.as_("owner"), "POST", f"{SECRET}/service-accounts", {})).json()
    on = {"resource_type": "channel", "resource_id": "secretproject", "permission": "manage"}
    body = {"name": "ci", "resources": [on]}
    token = await call(house.as_("owner"), "POST", f"{SECRET}/service-accounts/{made['id']}/tokens", body)
    assert token.status == 200, token.body
    return {**made, "token": token.json()["token"]}


async def test_accounts_for_machines_are_nobodys_people(house: House) -> None:
    mine, made = await keeper(house), await machine(house)
    path = f"/api/users/{made['username']}"
    for client in (mine, house.admin):
        listed = await read(client, "/api/users?limit=1000")
        assert "secretproject" not in str(listed)
        assert len(listed["items"]) == listed["total_count"]
        routes = [("GET", "", None), ("GET", "/tokens", None), ("PUT", "", {"roles": ["author"]}), *ACTS]
        for method, tail, body in [*routes, ("DELETE", "/logins", None)]:
            answer = await call(client, method, path + tail, body)
            absent = await call(client, method, f"/api/users/absent{tail}", body)
            assert (answer.status, answer.body.replace(made["username"].encode(), b"absent")) == (404, absent.body)
    assert (await house.web.get(SECRET, x_auth=made["token"])).status == 200  # nothing happened to it


async def test_an_account_for_a_machine_is_deleted_where_it_belongs(house: House) -> None:
    made, owner = await machine(house), house.as_("owner")
    here = f"{SECRET}/service-accounts/{made['id']}"
    await house.channel("other", "private", "outsider")
    outsider = house.as_("outsider")
    assert (await call(outsider, "DELETE", here)).status == 404
    assert (await call(outsider, "DELETE", f"/api/channels/other/service-accounts/{made['id']}")).status == 404
    assert (await house.web.get(SECRET, x_auth=made["token"])).status == 200
    assert (await call(owner, "DELETE", here)).status == 204
    assert (await house.web.get(SECRET, x_auth=made["token"])).status == 401
    assert (await read(owner, f"{SECRET}/service-accounts"))["total_count"] == 0
    told = (await read(house.admin, "/api/events?type=user_deleted"))["items"]
    assert [event["meta"]["actor"] for event in told] == ["owner"]
    assert (await call(owner, "DELETE", here)).status == 404
    assert (await call(owner, "POST", f"{SECRET}/service-accounts", {})).status == 200


async def test_who_reaches_more_channels_is_let_in_by_others(house: House) -> None:
    """Whoever sets a password can log in with it."""
    mine = await keeper(house)
    for name in ("granted", "member", "free"):
        await house.person(name)
    await house.channel("secretproject", "private", "owner")
    assert (await call(house.admin, "POST", "/api/groups", {"name": "team"})).status == 201
    for target in ("groups/team/members/member", "channels/secretproject/users/granted"):
        assert (await call(house.admin, "PUT", f"/api/{target}", {"level": "read"})).status < 300
    assert (await call(house.admin, "PUT", f"{SECRET}/groups/team", {"level": "read"})).status < 300
    for name in ("owner", "granted", "member"):
        before = await read(mine, f"/api/users/{name}")
        for method, tail, body in ACTS:
            answer = await call(mine, method, f"/api/users/{name}{tail}", body)
            assert answer.status == 403, (name, method, tail, body)
            assert "secretproject" not in answer.body.decode()
        assert await read(mine, f"/api/users/{name}") == before
        harmless = {"first_name": "Ann", "disabled": False}
        assert (await call(mine, "PUT", f"/api/users/{name}", harmless)).status == 200
    for method, tail, body in ACTS:
        assert (await call(mine, method, f"/api/users/free{tail}", body)).status < 300, (method, tail, body)


@pytest.mark.parametrize("backend", ["postgres+s3"], indirect=True)  # where units run beside each other
async def test_what_two_say_of_somebody_at_once_is_said_one_after_the_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = await keeper(house)
    waits, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(*args: Any, **options: Any) -> Any:
        found = await looked_after(*args, **options)
        if args[1].username == "keeper" and not waits.is_set():
            waits.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(goes_on.wait(), 1)
        return found

    monkeypatch.setattr(administering, "looked_after", slowly)
    one = asyncio.create_task(call(mine, "PUT", "/api/users/outsider", {"disabled": True}))
    await waits.wait()
    assert (await call(house.admin, "PUT", "/api/users/outsider", {"disabled": True})).status == 200
    goes_on.set()
    assert (await one).status == 200
    assert (await read(house.admin, "/api/users/outsider"))["disabled_by"] == "admin"


async def test_what_the_keeper_reaches_too_is_no_hindrance(house: House) -> None:
    """As high a level as theirs on each channel is enough, and deleted channels do not count."""
    mine = await keeper(house)
    await house.channel("secretproject", "private", "owner")
    for level, status in (("read", 403), ("write", 403), ("manage", 200)):
        assert (await call(house.admin, "PUT", f"{SECRET}/users/keeper", {"level": level})).status < 300
        await house.caught_up()
        assert (await call(mine, "PUT", "/api/users/owner", {"password": PASSWORD})).status == status, level
    await house.channel("gone", "private", "outsider")
    assert (await call(mine, "PUT", "/api/users/outsider", {"password": PASSWORD})).status == 403
    assert (await call(house.admin, "DELETE", "/api/channels/gone")).status == 202
    assert (await call(mine, "PUT", "/api/users/outsider", {"password": PASSWORD})).status == 200


async def test_whoever_leaves_the_house_is_out_at_once(house: House) -> None:
    """Shutting out opens no channel to whoever does it, and they may think better of it, but not of another's doing."""
    mine = await keeper(house)
    await house.channel("secretproject", "private", "owner")
    token = (await call(house.as_("owner"), "POST", "/api/account/tokens", {"name": "mine"})).json()["token"]
    out, back = {"disabled": True}, {"disabled": False}
    assert (await call(mine, "PUT", "/api/users/owner", {**out, "password": PASSWORD})).status == 403
    assert (await house.web.get(SECRET, x_auth=token)).status == 200
    assert (await call(mine, "PUT", "/api/users/owner", out)).status == 200
    await house.caught_up()
    assert (await house.web.get(SECRET, x_auth=token)).status == 401
    assert (await call(mine, "GET", SECRET)).status == 404  # the channel has an owner, who is not the keeper
    assert (await read(house.admin, SECRET))["owners"][0] == "admin"
    assert (await call(mine, "PUT", "/api/users/owner", back)).status == 200
    assert (await call(house.admin, "PUT", "/api/users/owner", out)).status == 200
    for edit in (back, out):  # neither lets in whom another disabled, nor makes it their own doing
        assert (await call(mine, "PUT", "/api/users/owner", edit)).status == (403 if edit is back else 200)
    assert (await call(mine, "PUT", "/api/users/owner", back)).status == 403
    await house.channel("yours", "private", "outsider")
    assert (await call(mine, "PUT", "/api/users/outsider", out)).status == 200
    assert (await call(house.admin, "PUT", "/api/users/outsider", out)).status == 200
    assert (await read(house.admin, "/api/users/outsider"))["disabled_by"] == "admin", "whose word outweighs theirs"
    assert (await call(mine, "PUT", "/api/users/outsider", back)).status == 403
    assert (await call(house.admin, "PUT", "/api/users/outsider", back)).status == 200
    await house.person("directed")
    await staffing.set_disabled(house.services.db, "directed", True, "directory")
    await house.channel("theirs", "private", "outsider")
    assert (await call(house.admin, "PUT", "/api/channels/theirs/users/directed", {"level": "read"})).status < 300
    assert (await call(mine, "PUT", "/api/users/directed", out)).status == 403
