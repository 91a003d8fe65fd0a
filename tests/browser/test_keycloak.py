"""People sign in through a real Keycloak, by its own pages in a real browser, and reach what their groups may.

One Keycloak, with a second realm that speaks SAML, serves all tests of this file: each has people of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.kit.browser import chromium
from tests.kit.condapkg import make_conda
from tests.kit.keycloak import SECRET, Keycloak, keycloak, unpacked
from tests.kit.processes import free_port
from tests.kit.rattler_client import Result, solve_and_install
from tests.kit.saml_idp import NAME, SAML_REALM, broker
from tests.kit.server import Site

SECONDS = 90.0
IDENTITY = """[[provider]]
kind = "oidc"
name = "keycloak"
title = "Keycloak"
issuer = "http://127.0.0.1:{port}/realms/packhouse"
client_id = "packhouse"
client_secret = "{secret}"
groups = {{ "/data-science" = "science" }}
required_groups = ["/data-science", "/finance"]
recheck_seconds = 2
"""


class Served(NamedTuple):
    """A server whose people come from Keycloak, and that Keycloak."""

    site: Site
    keycloak: Keycloak


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Both running; the group `science` may read the channel `secret`, and nobody may read `other`."""
    unpacked()
    folder = tmp_path_factory.mktemp("keycloak")
    port, file = free_port(), folder / "identity.toml"
    file.write_text(IDENTITY.format(port=port, secret=SECRET))
    env = {"DATA_DIR": str(folder / "data"), "DEFAULT_FEEDS": "false", "IDENTITY_FILE": str(file)}
    site = Site({f"PACKHOUSE_{name}": value for name, value in env.items()}, folder)
    try:
        with keycloak(folder, port, site.url, SAML_REALM) as server:
            broker(server, folder)
            site.call("POST", "/api/groups", {"name": "science"})
            for name in ("secret", "other"):
                site.call("POST", "/api/channels", {"name": name, "privacy": "private"})
                put = site.request("PUT", f"/api/repo/{name}/noarch/tool-1.0-0.conda", make_conda("tool", "1.0"))
                assert put.status in (200, 201), put.data
            site.call("PUT", "/api/channels/secret/groups/science", {"level": "read"})
            yield Served(site, server)
    finally:
        site.stop()


@pytest.fixture
def browser(served: Served) -> Iterator[Browser]:
    """A browser of this test."""
    with chromium() as running:
        yield running


def person(browser: Browser) -> BrowserContext:
    """Return what one person has of a browser, which waits as long as a busy machine needs."""
    context = browser.new_context()
    context.set_default_timeout(SECONDS * 1000)
    return context


def sign_in(page: Page, site: Site, name: str, through: str = "") -> None:
    """Sign in as people do, at another provider that Keycloak offers if one is named; leaves the page that says who."""
    page.goto(f"{site.url}/login")
    page.click("text=Sign in with Keycloak")
    if through:
        page.click(f"#social-{through}")
    page.fill("#username", name)
    page.fill("#password", f"{name}-password")
    page.click("#kc-login")
    page.wait_for_url(f"{site.url}/**")


def own_token(context: BrowserContext, site: Site) -> str:
    """Return a token that somebody who is signed in makes for themselves."""
    made = context.request.post(f"{site.url}/api/account/tokens", data={"name": "conda"}, headers={"Origin": site.url})
    assert made.status == 200, made.text()
    return str(made.json()["token"])


def seen(context: BrowserContext, site: Site) -> list[int]:
    """What a browser is answered of the two channels."""
    return [context.request.get(f"{site.url}/api/channels/{name}").status for name in ("secret", "other")]


def told(site: Site, token: str) -> int:
    """Return what a request with a token is answered."""
    return site.request("GET", "/api/account", headers={"Authorization": f"Bearer {token}"}).status


def install(site: Site, channel: str, token: str, folder: Path) -> Result:
    """Install from a channel by a real conda client that remembers nothing."""
    folder.mkdir()
    auth = folder / "auth.json"
    auth.write_text(json.dumps({"127.0.0.1": {"BearerToken": token}}))
    url = f"{site.url}/api/repo/{channel}"
    return solve_and_install(url, ["tool"], folder / "env", auth_file=auth, cache_dir=folder / "cache")


def soon(holds: Callable[[], bool], what: str) -> None:
    """Wait for what happens within the time of a recheck, with room for a busy machine."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def test_a_group_of_keycloak_opens_exactly_its_channels(served: Served, browser: Browser, tmp_path: Path) -> None:
    site, server = served
    context = person(browser)
    page = context.new_page()
    sign_in(page, site, "kim")
    assert page.inner_text("#who") == "kim"
    assert seen(context, site) == [200, 404]
    token = own_token(context, site)
    reached = install(site, "secret", token, tmp_path / "secret")
    assert reached.ok and reached.installed == {"tool": "1.0"}, reached.error
    assert "404" in install(site, "other", token, tmp_path / "other").error

    server.join("kim", "finance")
    server.leave("kim", "data-science")
    soon(lambda: seen(context, site) == [404, 404], "out of the group, and its channel is open")
    assert "404" in install(site, "secret", token, tmp_path / "left").error
    assert context.request.get(f"{site.url}/api/account").status == 200, "in another group that may sign in"

    server.leave("kim", "finance")
    soon(lambda: context.request.get(f"{site.url}/api/account").status == 401, "in no group, and still signed in")
    page.goto(f"{site.url}/login")
    page.click("text=Sign in with Keycloak")
    page.wait_for_selector("[role=alert]")
    assert "none of the groups" in page.inner_text("[role=alert]")
    soon(lambda: told(site, token) == 401, "may not sign in, and their token still works")

    server.join("kim", "data-science")
    page.goto(f"{site.url}/login")
    page.click("text=Sign in with Keycloak")
    page.wait_for_selector("#who")  # Keycloak still knows them
    assert seen(context, site) == [200, 404]
    soon(lambda: told(site, token) == 200, "back in the group, and their token is still refused")
    assert install(site, "secret", token, tmp_path / "back").ok


def test_signing_out_works_in_both_directions(served: Served, browser: Browser) -> None:
    site, server = served
    context = person(browser)
    page = context.new_page()
    sign_in(page, site, "lou")
    assert seen(context, site) == [404, 404], "of another group"
    page.goto(f"{site.url}/login")
    page.click("#sign-out")
    page.wait_for_url(f"{site.url}/login")
    page.click("text=Sign in with Keycloak")
    page.wait_for_selector("#password")  # it has forgotten the session, too

    sign_in(page, site, "lou")
    server.call("POST", f"users/{server.number_of('lou')}/logout")
    soon(lambda: context.request.get(f"{site.url}/api/account").status == 401, "signed out there, and not here")


def test_people_of_a_saml_provider_come_by_keycloak_as_broker(served: Served, browser: Browser) -> None:
    site, server = served
    context = person(browser)
    page = context.new_page()
    sign_in(page, site, "sam", through=NAME)
    assert page.inner_text("#who") == "sam"
    account = context.request.get(f"{site.url}/api/account").json()
    assert (account["user"]["email"], account["user"]["last_name"]) == ("sam@example.org", "Ito")
    assert seen(context, site) == [200, 404], "an attribute of the assertion is a group of Keycloak's"

    server.leave("sam", "scientists", realm=NAME)
    another = person(browser).new_page()
    sign_in(another, site, "sam", through=NAME)
    assert "none of the groups" in another.inner_text("[role=alert]")
    soon(lambda: context.request.get(f"{site.url}/api/account").status == 401, "the earlier login lives on")
