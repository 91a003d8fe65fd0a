"""What administrators are told of people of an OpenID provider, and how a local account becomes that of one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Backend
from tests.integration.signin.test_openid import PASSWORD, sees
from tests.kit.calls import call, read
from tests.kit.fake_idp import FakeIdp, fake_idp, identity_file
from tests.kit.house import House, basic, open_house
from tests.kit.openid import arrives, recheck
from tests.kit.pages import Browser


@pytest.fixture
async def idp() -> AsyncIterator[FakeIdp]:
    async with fake_idp("idp") as found:
        found.person |= {"groups": ["/science"], "email_verified": True}
        yield found


@pytest.fixture
async def house(backend: Backend, idp: FakeIdp, tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "identity.toml"
    file.write_text(identity_file(idp, required_groups=["/science"]))
    async with open_house(backend, identity_file=str(file)) as opened:
        yield opened


async def test_how_somebody_signed_in_is_told(house: House, idp: FakeIdp) -> None:
    await house.person("ann", password=PASSWORD)
    await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": PASSWORD})
    await call(house.web.with_headers({"authorization": basic("ann", PASSWORD)}), "POST", "/api/auth/api-keys", {})
    await Browser(house.web).sign_in("ann", PASSWORD)
    await arrives(Browser(house.web), idp)
    told = (await read(house.admin, "/api/events?type=user_signed_in"))["items"]
    logins = [(one["meta"]["actor"], {**one["data"], "login": ""}) for one in reversed(told)]
    assert logins == [
        ("ann", {"by": "api", "how": ["pwd"], "login": ""}),
        ("ann", {"by": "api", "how": ["pwd"], "login": ""}),
        ("ann", {"by": "page", "how": ["pwd"], "login": ""}),
        ("kim", {"by": "page", "how": ["fed"], "login": "", "provider": "idp"}),
    ]


def refusals(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return what the log told of sign-ins that were refused."""
    return [vars(one)["values"] for one in caplog.records if one.getMessage() == "sign-in refused"]


async def test_why_somebody_was_turned_away_is_in_the_log(
    house: House, idp: FakeIdp, caplog: pytest.LogCaptureFixture
) -> None:
    idp.person["groups"] = ["/elsewhere"]
    await arrives(Browser(house.web), idp)
    idp.person["groups"] = ["/science"]
    await house.person("kim", password=PASSWORD)
    answer = await arrives(Browser(house.web), idp)
    assert answer.status == 409 and "“From local accounts to a provider” in docs/sign-in.md" in answer.body.decode()
    assert [(one["provider"], one["account"]) for one in refusals(caplog)] == [("idp", "kim")] * 2
    none, taken = (one["why"] for one in refusals(caplog))
    assert "in none of the groups" in none and "another account has it" in taken


async def test_a_local_account_becomes_that_of_somebody_at_the_provider(
    backend: Backend, idp: FakeIdp, tmp_path: Path
) -> None:
    """As docs/sign-in.md says under "From local accounts to a provider"."""
    file = tmp_path / "identity.toml"
    more = {"groups": {"/science": "science"}, "required_groups": ["/science"]}
    file.write_text(identity_file(idp, link_by_email=True, **more))
    async with open_house(backend, identity_file=str(file)) as house:
        await call(house.admin, "POST", "/api/groups", {"name": "science"})
        await house.channel("secret", "private")
        await call(house.admin, "PUT", "/api/channels/secret/groups/science", {"level": "read"})
        await house.person("kim", password=PASSWORD)
        assert (await arrives(Browser(house.web), idp)).status == 409, "nobody said whose her address is"
        mail = {"email": idp.person["email"].upper(), "email_verified": True}
        assert (await call(house.admin, "PUT", "/api/users/kim", mail)).status == 200
        browser = Browser(house.web)
        assert (await arrives(browser, idp)).status == 303
        await house.caught_up()
        token = house.as_("kim")
        assert (await browser.get("/api/account")).json()["username"] == "kim"
        assert (await sees(browser), (await token.get("/api/channels/secret")).status) == (200, 200)
        # it stays an account of the installation: its password works, and so does its token when she has left there
        login = {"username": "kim", "password": PASSWORD}
        assert (await call(house.web, "POST", "/api/auth/login", login)).status == 200
        idp.person["groups"] = []
        await recheck(house)
        assert (await browser.get("/api/account")).status == 401
        assert [(await token.get(path)).status for path in ("/api/account", "/api/channels/secret")] == [200, 404]
        assert (await call(house.admin, "PUT", "/api/users/kim", {"password": "nobody knows this"})).status == 200
        assert (await call(house.web, "POST", "/api/auth/login", login)).status == 401
