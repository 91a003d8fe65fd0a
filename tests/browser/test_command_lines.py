"""A command line opens a real browser and gets it back with a code: no policy of the page keeps the browser from it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.browser.test_other_sites import another_site
from tests.conftest import Backend
from tests.kit.browser import chromium
from tests.kit.code_flow import AUTHORIZE, anaconda_asks, repo_asks
from tests.kit.server import PASSWORD, Site


def test_the_browser_comes_back_with_a_code(backend: Backend, tmp_path: Path) -> None:
    if backend.name != "sqlite+folder":
        pytest.skip("the browser sees no difference")
    with chromium() as browser, another_site("back in the command line") as listening:
        site = Site(backend.env, tmp_path, worker=False)
        try:
            page = browser.new_page()
            old = listening.replace("127.0.0.1", "localhost")
            asked = (anaconda_asks(redirect_uri=f"{listening}auth/oidc"), repo_asks(redirect_uri=old))
            page.goto(f"{site.url}{AUTHORIZE}?{urlencode(asked[0])}")
            page.fill("#username", "admin")
            page.fill("#password", PASSWORD)
            page.click("#sign-in")
            for fields, button, said in ((asked[0], "#approve", "code"), (asked[1], "#deny", "error")):
                page.goto(f"{site.url}{AUTHORIZE}?{urlencode(fields)}")
                assert page.inner_text("#who") == "admin"
                page.click(button)
                page.wait_for_url(f"{fields['redirect_uri']}?*")
                assert page.inner_text("body") == "back in the command line"
                assert said in parse_qs(urlsplit(page.url).query)
        finally:
            site.stop()
