"""No channel is left to nobody, whoever is disabled or deleted, and whatever happens at the same time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.kit.calls import call, read
from tests.kit.house import House

ORPHANS = """SELECT channel.path FROM channel LEFT JOIN account ON account.id = channel.owner_id
 WHERE channel.path IS NOT NULL AND (account.id IS NULL OR account.disabled_at IS NOT NULL)"""
OUTSIDE = """SELECT channel.path FROM channel WHERE channel.path IS NOT NULL AND NOT EXISTS (
 SELECT 1 FROM user_group JOIN group_member ON group_member.group_id = user_group.id
 WHERE user_group.channel_id = channel.id AND group_member.account_id = channel.owner_id AND group_member.level = 3)"""


async def admin(house: House, method: str, target: str, body: Any = None) -> int:
    return (await call(house.admin, method, target, body)).status


async def owners(house: House, path: str) -> Any:
    return (await read(house.admin, f"/api/channels/{path}"))["owners"]


async def test_the_channels_of_somebody_disabled_go_to_a_co_owner_or_the_administrator(house: House) -> None:
    await house.channel("alone", "private", "owner")
    await house.channel("shared", "private", "owner")
    manager = {"level": "manage"}
    assert await admin(house, "PUT", "/api/groups/shared_owners/members/outsider", manager) == 200
    assert await admin(house, "PUT", "/api/users/owner", {"disabled": True}) == 200
    assert (await owners(house, "alone"), await owners(house, "shared")) == (["admin", "owner"], ["outsider", "owner"])
    history = (await read(house.admin, "/api/channels/alone/history"))["items"]
    told = [event["data"] for event in history]
    assert {"owner": "admin", "former": "owner"} in told
    assert await admin(house, "DELETE", "/api/users/owner") == 204
    assert await owners(house, "alone") == ["admin"]


async def test_an_heir_can_be_named(house: House) -> None:
    await house.channel("lab", "private", "owner")
    assert await admin(house, "DELETE", "/api/users/owner?heir=nobody") == 404
    assert await admin(house, "DELETE", "/api/users/owner?heir=owner") == 409
    assert await owners(house, "lab") == ["owner"], "nothing is done by halves"
    assert await admin(house, "DELETE", "/api/users/owner?heir=outsider") == 204
    assert await owners(house, "lab") == ["outsider"]
    assert (await house.as_("outsider").get("/api/channels/lab")).status == 200


async def test_an_heir_is_named_when_somebody_is_disabled(house: House) -> None:
    await house.channel("lab", "private", "owner")
    path, leaves = "/api/users/owner", {"disabled": True}
    for wrong, status in (
        ({**leaves, "heir": "nobody"}, 404), ({**leaves, "heir": "owner"}, 409),
        ({"heir": "outsider"}, 400), ({"disabled": False, "heir": "outsider"}, 400),
    ):  # fmt: skip
        assert await admin(house, "PUT", path, wrong) == status, wrong
    assert await owners(house, "lab") == ["owner"], "nothing is done by halves"
    await house.person("keeper")
    roles = {"roles": ["author", "user-administrator"]}
    assert await admin(house, "PUT", "/api/users/keeper", roles) == 200
    refused = await call(house.as_("keeper"), "PUT", path, {**leaves, "heir": "keeper"})
    assert (refused.status, refused.json()["error"]["code"]) == (403, "forbidden"), "else it were a way to any channel"
    assert await admin(house, "PUT", path, {**leaves, "heir": "outsider"}) == 200
    assert await owners(house, "lab") == ["outsider", "owner"]


async def test_an_heir_who_is_named_later_gets_what_went_to_others_when_somebody_was_disabled(house: House) -> None:
    """Whoever leaves is disabled first, and deleted much later."""
    for name in ("ann", "bob", "eve"):
        await house.person(name)
    for path in ("alone", "shared", "given"):
        await house.channel(path, "private", "owner")
    await house.channel("anns", "private", "ann")
    manager = {"level": "manage"}
    for path in ("shared", "anns"):
        who = "ann" if path == "shared" else "owner"
        assert await admin(house, "PUT", f"/api/groups/{path}_owners/members/{who}", manager) == 200
    assert await admin(house, "PUT", "/api/users/owner", {"disabled": True}) == 200
    assert [(await owners(house, path))[0] for path in ("alone", "shared", "given")] == ["admin", "ann", "admin"]
    assert await admin(house, "PUT", "/api/channels/given", {"owner": "eve"}) == 200
    assert await admin(house, "PUT", "/api/users/owner", {"disabled": True, "heir": "outsider"}) == 200
    assert (await owners(house, "alone"))[0] == "outsider", "it is not too late before they are deleted"
    assert await admin(house, "DELETE", "/api/users/owner?heir=bob") == 204
    firsts = {path: (await owners(house, path))[0] for path in ("alone", "shared", "given", "anns")}
    assert firsts == {"alone": "bob", "shared": "bob", "given": "eve", "anns": "ann"}
    assert await house.services.db.fetch_all(OUTSIDE) == []


async def test_whoever_is_back_takes_nothing_along_when_they_leave_again(house: House) -> None:
    for name in ("bob", "eve"):
        await house.person(name)
    await house.channel("lab", "private", "owner")
    assert await admin(house, "PUT", "/api/groups/lab_owners/members/bob", {"level": "manage"}) == 200
    for disabled in (True, False):
        assert await admin(house, "PUT", "/api/users/owner", {"disabled": disabled}) == 200
    assert (await call(house.as_("bob"), "DELETE", "/api/groups/lab_owners/members/owner")).status == 204
    assert await admin(house, "DELETE", "/api/users/owner?heir=eve") == 204
    assert await owners(house, "lab") == ["bob"], "it is no longer in anybody's place"


async def test_a_named_heir_gets_what_went_through_several_hands(house: House) -> None:
    for name in ("bob", "eve"):
        await house.person(name)
    await house.channel("lab", "private", "owner")
    assert await admin(house, "PUT", "/api/groups/lab_owners/members/bob", {"level": "manage"}) == 200
    for name in ("owner", "bob"):
        assert await admin(house, "PUT", f"/api/users/{name}", {"disabled": True}) == 200
    assert (await owners(house, "lab"))[0] == "admin"
    assert await admin(house, "DELETE", "/api/users/owner?heir=eve") == 204
    assert (await owners(house, "lab"))[0] == "eve"
    assert await admin(house, "DELETE", "/api/users/bob?heir=outsider") == 204
    assert await owners(house, "lab") == ["eve", "admin"], "it was never bob's own"


async def test_whoever_is_disabled_owns_nothing_new(house: House) -> None:
    await house.channel("lab", "private", "owner")
    assert await admin(house, "PUT", "/api/users/outsider", {"disabled": True}) == 200
    assert await admin(house, "PUT", "/api/channels/lab", {"owner": "outsider"}) == 409


@pytest.mark.parametrize("seed", range(4))
async def test_no_order_of_events_leaves_a_channel_to_nobody(house: House, seed: int) -> None:
    chance = random.Random(seed)
    people = ["owner", "outsider"]
    for name in ("ann", "bob", "eve"):
        await house.person(name)
        people.append(name)
    channels = [f"c{number}" for number in range(5)]
    for path, name in zip(channels, people, strict=True):
        await house.channel(path, "private", name)

    def event() -> tuple[str, str, Any]:
        who, heir, path = chance.choice(people), chance.choice(people), chance.choice(channels)
        return chance.choice(
            [
                ("PUT", f"/api/users/{who}", {"disabled": chance.random() < 0.7}),
                ("PUT", f"/api/users/{who}", {"disabled": True, "heir": heir}),
                ("DELETE", f"/api/users/{who}", None),
                ("DELETE", f"/api/users/{who}?heir={heir}", None),
                ("PUT", f"/api/channels/{path}", {"owner": who}),
                ("PUT", f"/api/groups/{path}_owners/members/{who}", {"level": "manage"}),
                ("DELETE", f"/api/groups/{path}_owners/members/{who}", None),
            ]
        )

    for _ in range(4):
        statuses = await asyncio.gather(*(admin(house, *event()) for _ in range(6)))
        assert not [status for status in statuses if status >= 500]
        assert await house.services.db.fetch_all(ORPHANS) == []
        assert await house.services.db.fetch_all(OUTSIDE) == []
