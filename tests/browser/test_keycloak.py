"""People sign in through a real Keycloak, by its own pages in a real browser, and reach what their groups may."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.conftest import Backend
from tests.kit.browser import chromium
from tests.kit.keycloak import SECRET, Keycloak, keycloak, unpacked
from tests.kit.processes import free_port
from tests.kit.server import Site

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


@pytest.fixture
def served(backend: Backend, tmp_path: Path) -> Iterator[tuple[Site, Keycloak]]:
    """A server whose people come from Keycloak, and that Keycloak."""
    if backend.name != "sqlite+folder":
        pytest.skip("the browser sees no difference")
    unpacked()
    port, file = free_port(), tmp_path / "identity.toml"
    file.write_text(IDENTITY.format(port=port, secret=SECRET))
    site = Site({**backend.env, "PACKHOUSE_IDENTITY_FILE": str(file)}, tmp_path)
    try:
        with keycloak(tmp_path, port, site.url) as server:
            site.call("POST", "/api/groups", {"name": "science"})
            for name in ("secret", "other"):
                site.call("POST", "/api/channels", {"name": name, "privacy": "private"})
            site.call("PUT", "/api/channels/secret/groups/science", {"level": "read"})
            yield site, server
    finally:
        site.stop()


def sign_in(page: Page, site: Site, name: str) -> None:
    """Sign in as people do; leaves the page that says who is signed in."""
    page.goto(f"{site.url}/login")
    page.click("text=Sign in with Keycloak")
    page.fill("#username", name)
    page.fill("#password", f"{name}-password")
    page.click("#kc-login")
    page.wait_for_url(f"{site.url}/**")


def status(context: BrowserContext, site: Site, path: str) -> int:
    """What the browser's cookie is answered."""
    return context.request.get(f"{site.url}{path}").status


def soon(holds: Callable[[], bool], what: str) -> None:
    """Wait for what happens within the time of a recheck, with room for a busy machine."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def test_a_group_of_keycloak_opens_exactly_its_channels(served: tuple[Site, Keycloak]) -> None:
    site, server = served
    with chromium() as browser:
        context = browser.new_context()
        page = context.new_page()
        sign_in(page, site, "kim")
        assert page.inner_text("#who") == "kim"
        assert status(context, site, "/api/channels/secret") == 200
        assert status(context, site, "/api/channels/other") == 404
        made = context.request.post(
            f"{site.url}/api/account/tokens", data={"name": "conda"}, headers={"Origin": site.url}
        )
        assert made.status == 200, made.text()
        conda = browser.new_context(extra_http_headers={"X-Auth": made.json()["token"]})
        reached = [status(conda, site, f"/api/repo/{name}/noarch/repodata.json") for name in ("secret", "other")]
        assert reached == [200, 404]

        foreign = browser.new_context()
        sign_in(foreign.new_page(), site, "lou")
        assert status(foreign, site, "/api/account") == 200
        assert status(foreign, site, "/api/channels/secret") == 404, "of another group"

        server.call("POST", f"users/{server.number_of('lou')}/logout")
        soon(lambda: status(foreign, site, "/api/account") == 401, "signed out in Keycloak, and not here")

        page.goto(f"{site.url}/login")
        page.click("#sign-out")
        page.wait_for_url(f"{site.url}/login")
        page.click("text=Sign in with Keycloak")
        page.wait_for_selector("#password")  # it has forgotten the session, too
        sign_in(page, site, "kim")

        server.leave_groups("kim")
        soon(lambda: status(context, site, "/api/account") == 401, "in no required group, and still signed in")
        page.goto(f"{site.url}/login")
        page.click("text=Sign in with Keycloak")
        page.wait_for_selector("[role=alert]")
        assert "none of the groups" in page.inner_text("[role=alert]")
