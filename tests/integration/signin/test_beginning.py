"""A login begins only if what was shown of an account still counts in the moment it begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from packhouse.catalog.accounts import totp
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins
from packhouse.core.db import Unit
from packhouse.workflows.admitting.authenticator import Authenticator
from tests.integration.signin.test_second_factor import code
from tests.kit import staffing
from tests.kit.asgi import Answer
from tests.kit.calls import call
from tests.kit.house import House, basic
from tests.kit.keys import SEALER
from tests.kit.pages import Browser

PASSWORD = "correct horse battery"
LIVE = "SELECT count(*) FROM login JOIN account ON account.id = account_id WHERE username = :name AND ended_at IS NULL"


async def new_password(house: House, name: str) -> None:
    await staffing.set_password(house.services.db, name, "another horse battery", "admin")


async def disabled(house: House, name: str) -> None:
    """Disabled, and enabled again, which brings back no login."""
    for value in (True, False):
        await staffing.set_disabled(house.services.db, name, value, "admin")


async def second_factor(house: House, name: str) -> None:
    db, sealer, seed = house.services.db, house.services.sealer, totp.new_enrolment(name).secret
    keys, number = await load_keys(db, SEALER), house.people[name].principal.account_id or 0

    async def work(unit: Unit) -> None:
        assert await totp.keep_seed(unit, sealer, number, seed)
        assert await totp.turn_on(unit, sealer, keys, number, code(seed)) is not None
        await logins.end_all(unit, number)

    await db.write(work)


async def by_page(house: House, name: str) -> Answer:
    browser = Browser(house.web)
    answer = await browser.sign_in(name, PASSWORD)
    assert not browser.cookies
    return answer


async def by_api(house: House, name: str) -> Answer:
    return await call(house.web, "POST", "/api/auth/login", {"username": name, "password": PASSWORD})


async def by_key(house: House, name: str) -> Answer:
    client = house.web.with_headers({"authorization": basic(name, PASSWORD)})
    return await call(client, "POST", "/api/auth/api-keys", {})


@pytest.mark.parametrize(("door", "asks"), [(by_page, "check_password"), (by_api, "check_password"), (by_key, "proof")])
async def test_what_changes_after_it_was_checked_and_before_the_login_begins(
    house: House, monkeypatch: pytest.MonkeyPatch, door: Callable[[House, str], Awaitable[Answer]], asks: str
) -> None:
    checks = getattr(Authenticator, asks)
    for number, changed in enumerate((new_password, disabled, second_factor)):
        name = f"ann{number}"
        await house.person(name, password=PASSWORD)

        async def between(
            self: Authenticator, *shown: Any, name: str = name, changed: Callable[..., Any] = changed
        ) -> Any:
            """Check as always; then somebody else's unit is written before that of whoever was checked."""
            found = await checks(self, *shown)
            await changed(house, name)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(Authenticator, asks, between)
            answer = await door(house, name)
        assert answer.status == 401, (changed.__name__, answer.body)
        assert b"Sign in again" in answer.body
        assert await house.services.db.fetch_value(LIVE, name=name) == 0
