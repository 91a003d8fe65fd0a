"""Asking a provider again about whom it sent: its tokens turn with each question, and each login is of one person."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.logins import logins
from packhouse.core.errors import PackhouseError
from packhouse.workflows.signin.oidc.federation import Federation
from tests.conftest import Backend
from tests.kit.calls import call
from tests.kit.fake_idp import FakeIdp, fake_idp, identity_file
from tests.kit.house import House, open_house
from tests.kit.openid import arrives, recheck
from tests.kit.pages import Browser

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def idp() -> AsyncIterator[FakeIdp]:
    """A provider whose refresh tokens count once."""
    async with fake_idp("idp") as found:
        found.person |= {"email_verified": True}
        found.refresh_once = True
        yield found


@pytest.fixture
async def house(backend: Backend, idp: FakeIdp, tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "identity.toml"
    file.write_text(identity_file(idp, link_by_email=True))
    async with open_house(backend, identity_file=str(file)) as opened:
        yield opened


async def signed_in(browser: Browser) -> bool:
    return (await browser.get("/api/account")).status == 200


async def arrived(house: House, idp: FakeIdp) -> Browser:
    browser = Browser(house.web)
    assert (await arrives(browser, idp)).status == 303
    return browser


async def test_who_is_asked_about_over_and_over_stays_signed_in(house: House, idp: FakeIdp) -> None:
    browser = await arrived(house, idp)
    for _ in range(3):
        await recheck(house)
        assert await signed_in(browser)


async def test_a_provider_whose_keys_are_away_for_a_while_signs_nobody_out(house: House, idp: FakeIdp) -> None:
    browser = await arrived(house, idp)
    for away in ({"/keys"}, set()):
        idp.away = frozenset(away)
        await recheck(house)
        assert await signed_in(browser), "its refresh token has turned all the same"


async def test_an_answer_that_is_not_believed_signs_nobody_out(house: House, idp: FakeIdp) -> None:
    browser = await arrived(house, idp)
    forged, none = (lambda idp, claims: idp.signed(claims, "mallory")), (lambda *_: None)
    answers: list[Any] = [forged, none, None]
    for idp.forge in answers:
        await recheck(house)
        assert await signed_in(browser)


async def test_a_database_that_is_busy_for_a_while_signs_nobody_out(
    house: House, idp: FakeIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await arrived(house, idp)

    async def busy(*_: object, **_named: object) -> Any:
        raise PackhouseError("try_later", "The database is busy.", "Ask again.")

    with monkeypatch.context() as later:
        later.setattr(Federation, "welcome", busy)
        await recheck(house)
    await recheck(house)
    assert await signed_in(browser)


async def test_an_end_that_could_not_be_written_comes_the_next_time(
    house: House, idp: FakeIdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await arrived(house, idp)
    idp.refreshing = {"error": "invalid_grant"}

    async def busy(*_: object, **_named: object) -> Any:
        raise PackhouseError("try_later", "The database is busy.", "Ask again.")

    with monkeypatch.context() as later:
        later.setattr(logins, "end", busy)
        await recheck(house)
    assert await signed_in(browser)
    await recheck(house)
    assert not await signed_in(browser)


async def twice_on_one_account(house: House, idp: FakeIdp) -> tuple[Browser, Browser]:
    """Let somebody come whom the provider then makes anew, with the same mail address."""
    mine = {"username": "kimlocal", "email": idp.person["email"], "email_verified": True}
    assert (await call(house.admin, "POST", "/api/users", mine)).status == 201
    old = await arrived(house, idp)
    idp.person |= {"sub": "s-2", "sid": "sid-2"}
    new = await arrived(house, idp)
    for browser in (old, new):
        assert (await browser.get("/api/account")).json()["username"] == "kimlocal"
    return old, new


async def test_whom_the_provider_made_anew_stays_signed_in(house: House, idp: FakeIdp) -> None:
    _, new = await twice_on_one_account(house, idp)
    for _ in range(3):
        await recheck(house)
        assert await signed_in(new)


async def test_each_login_is_asked_about_once(house: House, idp: FakeIdp) -> None:
    await twice_on_one_account(house, idp)
    asked = idp.asked
    await recheck(house)
    assert idp.asked == asked + 2


async def test_who_signs_out_there_is_the_one_the_provider_names(house: House, idp: FakeIdp) -> None:
    old, new = await twice_on_one_account(house, idp)
    now = int(time.time())
    said = {"iss": idp.issuer, "aud": "packhouse", "iat": now, "exp": now + 60, "jti": "1", "sub": "s-1"}
    events: dict[str, Any] = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    token = idp.signed({**said, **events})
    answer = await house.web.request("POST", "/login/idp/backchannel", FORM, [f"logout_token={token}".encode()])
    assert answer.status == 200, answer.body
    await house.caught_up()
    assert (await signed_in(old), await signed_in(new)) == (False, True)
