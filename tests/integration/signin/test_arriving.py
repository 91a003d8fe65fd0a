"""First logins: whose account it becomes, what comes with it, and the channel of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from packhouse.catalog.accounts.account import Account
from packhouse.catalog.identities import store as identities
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.people import accounts
from packhouse.workflows.signin.arriving import Arrival, arrive, channel_name
from tests.conftest import Backend
from tests.kit import staffing
from tests.kit.calls import call, read
from tests.kit.house import House, open_house

PASSWORD = "correct horse battery"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        yield opened


class Elsewhere:
    """A provider, as far as arriving cares."""

    def __init__(self, house: House, number: int) -> None:
        self.house, self.number = house, number

    async def sends(
        self, username: str, subject: str = "", *, link: bool = False, admins: frozenset[str] = frozenset(), **said: Any
    ) -> Account:
        """Let somebody come who was never asked anything here."""
        blank: dict[str, Any] = {"email": "", "email_verified": False, "first_name": "", "last_name": ""}
        nothing: dict[str, Any] = {"groups": frozenset(), "roles": frozenset()}
        who = Arrival(
            provider_id=self.number, subject=subject or username, username=username, **{**blank, **nothing, **said}
        )
        return await arrive(self.house.services, who, link_by_email=link, mapping={}, admin_roles=admins)

    async def refused(self, username: str, subject: str = "", **said: Any) -> str:
        """Return the code of the refusal."""
        with pytest.raises(PackhouseError) as error:
            await self.sends(username, subject, **said)
        return error.value.code


async def provider(house: House, name: str = "corp") -> Elsewhere:
    async def work(unit: Unit) -> int:
        return (await identities.ensure(unit, name, "oidc")).id

    return Elsewhere(house, await house.services.db.write(work))


async def log_in(house: House, username: str) -> Any:
    answer = await call(house.web, "POST", "/api/auth/login", {"username": username, "password": PASSWORD})
    assert answer.status == 200, answer.body
    bearer = house.web.with_headers({"authorization": f"Bearer {answer.json()['token']}"})
    return await read(bearer, "/api/account")


@pytest.mark.parametrize(
    ("username", "name"),
    [
        ("erica.lamara@x", "erica_lamara"),
        ("Erica+Lamara@x.example", "erica_lamara"),
        ("ann", "ann"),
        ("a-b_c", "a-b_c"),
        ("7of9@x", "7of9"),
        ("@x", ""),
    ],
)
def test_the_naming_rule(username: str, name: str) -> None:
    assert channel_name(username) == name


async def test_a_first_login_brings_a_channel_of_ones_own(house: House) -> None:
    await house.person("erica.lamara@example.org", password=PASSWORD)
    me = await log_in(house, "erica.lamara@example.org")
    assert me["default_channel_name"] == "erica_lamara"
    shown = await read(house.as_("erica.lamara@example.org"), "/api/channels/erica_lamara")
    assert shown["privacy"] == "private"
    told = (await read(house.admin, "/api/events?type=user_default_channel_updated"))["items"]
    assert [(event["meta"]["actor"], event["data"]) for event in told] == [
        ("erica.lamara@example.org", {"to": "erica_lamara"})
    ]
    # only the first login does: who takes it away has none
    await call(house.as_("erica.lamara@example.org"), "PUT", "/api/account", {"default_channel_name": None})
    assert (await log_in(house, "erica.lamara@example.org"))["default_channel_name"] is None


async def test_a_name_that_is_taken_reserved_or_none_brings_no_channel(house: House) -> None:
    await house.channel("taken")
    for username in ("taken", "7of9", "policies", "noarch", "aliases", "x" * 65):
        await house.person(username, password=PASSWORD)
        assert (await log_in(house, username))["default_channel_name"] is None, username
    assert {item["name"] for item in (await read(house.admin, "/api/channels"))["items"]} == {"taken"}


async def test_who_makes_no_channels_gets_none(house: House) -> None:
    await house.person("reader", password=PASSWORD)

    async def work(unit: Unit) -> None:
        await unit.execute("UPDATE role_level SET level = 1 WHERE role_id = 2 AND category = 'channel'")

    await house.services.db.write(work)
    assert (await log_in(house, "reader"))["default_channel_name"] is None


async def test_first_logins_at_the_same_time_make_one_channel(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    found = await asyncio.gather(*(log_in(house, "ann") for _ in range(4)))
    assert {me["default_channel_name"] for me in found} == {"ann"}


async def test_whom_a_provider_sends_has_an_account_from_then_on(house: House) -> None:
    corp = await provider(house)
    names = {"first_name": "Erica", "last_name": "Lamara"}
    said: dict[str, Any] = {"email": "erica@example.org", "email_verified": True, **names}
    made = await corp.sends("Erica.Lamara@X", "s-1", **said)
    assert (made.username, made.first_name, made.email, made.role) == (
        "erica.lamara@x", "Erica", "erica@example.org", "author",
    )  # fmt: skip
    again = await corp.sends("renamed", "s-1")  # says nothing of the rest, which stays
    for name in ("id", "username", "first_name", "last_name", "email", "default_channel_id"):
        assert getattr(again, name) == getattr(made, name), name
    assert (made.default_channel_id, made.last_login_at) == (None, None), "to be known is no login"
    assert bool(again.email_verified) is True
    assert (await corp.sends("erica.lamara@x", "s-1", last_name="Other")).last_name == "Other"


async def test_first_arrivals_of_one_person_at_the_same_time_are_one_account(house: House) -> None:
    corp = await provider(house)
    found = await asyncio.gather(*(corp.sends("ann", "s-1") for _ in range(4)), return_exceptions=True)
    made = {one.id for one in found if isinstance(one, Account)}
    assert len(made) == 1
    assert all(isinstance(one, Account | PackhouseError) for one in found)
    assert (await corp.sends("ann", "s-1")).id in made


async def test_a_name_is_never_somebody_elses(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    corp, other = await provider(house), await provider(house, "other")
    for name in ("ann", "ANN", " Ann ", "system", "mirror", "", "@", "\u0430nn"):  # the last begins with a Cyrillic a
        assert await corp.refused(name, "s-1") == "account_taken", name
    await corp.sends("bob", "s-2")
    assert await other.refused("bob", "s-2") == "account_taken"  # the same subject of another provider
    assert await corp.refused("bob", "s-3") == "account_taken"
    assert (
        await corp.refused("admin", "s-4", email="admin@example.org", email_verified=True, link=True) == "account_taken"
    )


async def test_mail_addresses_join_only_if_both_sides_verified_them(house: House) -> None:
    for name, verified in (("ann", True), ("bob", False)):
        await house.person(name)
        profile = {"email": f"{name}@example.org", "email_verified": verified}
        await call(house.admin, "PUT", f"/api/users/{name}", profile)
    corp, other = await provider(house), await provider(house, "other")
    assert (await corp.sends("x1", email="ann@example.org", email_verified=False, link=True)).username == "x1"
    assert (await corp.sends("x2", email="ann@example.org", email_verified=True, link=False)).username == "x2"
    assert (await corp.sends("x3", email="bob@example.org", email_verified=True, link=True)).username == "x3"
    joined = await corp.sends("x4", email="ANN@example.org", email_verified=True, link=True)
    assert (joined.username, joined.provider_id) == ("ann", None)
    assert (await corp.sends("whoever", "x4")).id == joined.id
    # an account that came through one provider is never joined by another's word
    assert (await other.sends("x5", email="bob@example.org", email_verified=True, link=True)).username == "x5"


async def test_roles_follow_the_provider_and_admin_only_by_the_file(house: House) -> None:
    corp = await provider(house)
    roles = frozenset({"admin", "user-administrator", "offline_access", "everyone"})
    made = await corp.sends("ann", roles=roles)
    assert (await read(house.admin, "/api/users/ann"))["roles"] == ["author", "user-administrator"]
    await corp.sends("ann", roles=roles, admins=frozenset({"admin"}))
    assert (await read(house.admin, "/api/users/ann"))["role"] == "admin"
    await corp.sends("ann")
    assert (await read(house.admin, "/api/users/ann"))["roles"] == ["author"]
    assert made.role == "author"


async def test_a_disabled_account_stays_so_unless_the_provider_did_it(house: House) -> None:
    corp, db = await provider(house), house.services.db
    await corp.sends("ann")
    await staffing.set_disabled(db, "ann", True, "admin")
    assert await corp.refused("ann") == "unauthenticated"
    await staffing.set_disabled(db, "ann", False, "admin")
    await staffing.set_disabled(db, "ann", True, "directory")
    assert (await corp.sends("ann")).disabled_at is None


async def test_what_an_administrator_disables_no_provider_enables(house: House) -> None:
    corp, db = await provider(house), house.services.db
    ann = await corp.sends("ann")
    await db.write(lambda unit: accounts.disable(unit, ann, True, "directory"))
    for _ in range(2):  # the second time it is theirs already, and nothing is told
        answer = await call(house.admin, "PUT", "/api/users/ann", {"disabled": True})
        assert (answer.status, answer.json()["disabled"]) == (200, True)
    assert await corp.refused("ann") == "unauthenticated"
    told = (await read(house.admin, "/api/events?type=user_disabled"))["items"]
    assert sorted(event["meta"]["actor"] for event in told) == ["admin", "directory"]


async def test_nobody_gives_a_password_to_whom_a_provider_vouches_for(house: House) -> None:
    await (await provider(house)).sends("ann")
    answer = await call(house.admin, "PUT", "/api/users/ann", {"password": PASSWORD, "first_name": "Ann"})
    assert (answer.status, answer.json()["error"]["code"]) == (409, "conflict")
    assert (await read(house.admin, "/api/users/ann"))["first_name"] == ""
    login = await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": PASSWORD})
    assert login.status == 401


def test_an_arrival_shows_no_secret() -> None:
    assert {field.name for field in msgspec.structs.fields(Arrival)} & {"password", "token"} == set()
