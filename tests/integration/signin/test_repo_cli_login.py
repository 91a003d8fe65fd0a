"""The old command line logs in through a browser and keeps a token, as it has always done."""

from __future__ import annotations

import re

import pytest

from packhouse.catalog.rights.principal import Role
from tests.kit.house import House
from tests.kit.pages import HOST, ORIGIN, Browser
from tests.kit.repo_cli import RepoCli

PASSWORD = "correct horse battery"


async def through_the_browser(house: House, address: str, username: str, answer: str = "approve") -> str:
    """Open an address, sign in, press a button; return the address the browser is sent to."""
    browser = Browser(house.web)
    first = await browser.get(address.removeprefix(ORIGIN))
    assert first.status == 303
    onward = dict(
        re.findall(r'name="(next)" value="([^"]*)"', (await browser.get(first.headers["location"])).body.decode())
    )
    signed_in = await browser.sign_in(username, PASSWORD, onward["next"].replace("&amp;", "&"))
    page = await browser.get(signed_in.headers["location"])
    assert b"The conda repo command line" in page.body
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.body.decode()))
    pressed = await browser.post(signed_in.headers["location"].partition("?")[0], {**fields, "answer": answer})
    assert pressed.status == 303
    return pressed.headers["location"]


@pytest.mark.parametrize(("name", "role"), [("ann", "author"), ("boss", "admin")])
async def test_a_person_logs_in(house: House, name: str, role: Role) -> None:
    await house.person(name, role, PASSWORD)
    cli = RepoCli(house.web, HOST)
    back = await through_the_browser(house, await cli.opens(), name)
    assert back.startswith(cli.redirect_uri + "?")
    token = await cli.comes_back(back)
    assert cli.is_admin(token) is (role == "admin")
    value = await cli.own_token(token, "laptop")
    assert (await cli.whoami(value))["username"] == name

    again = await cli.comes_back(await through_the_browser(house, await cli.opens(), name))
    other = await cli.own_token(again, "laptop")
    assert other != value and (await cli.whoami(other))["username"] == name


async def test_a_person_says_no(house: House) -> None:
    await house.person("ann", password=PASSWORD)
    cli = RepoCli(house.web, HOST)
    back = await through_the_browser(house, await cli.opens(), "ann", "deny")
    assert back.startswith(cli.redirect_uri + "?error=access_denied") and "code=" not in back
