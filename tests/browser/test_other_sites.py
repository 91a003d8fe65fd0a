"""A page of another origin posts forms with a real browser that is signed in here: nothing changes.

The other port is the same site to a browser, so that it does send the cookie.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.browser import chromium
from tests.kit.server import PASSWORD, Site

FORM = """<form id="f" method="post" enctype="text/plain" action="{action}"><input name='{name}' value='{value}'></form>
<script>document.getElementById("f").submit()</script>"""


@contextmanager
def another_site(page: str) -> Iterator[str]:
    """Serve one page on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_another_sites_form_changes_nothing(backend: Backend, tmp_path: Path) -> None:
    if backend.name != "sqlite+folder":
        pytest.skip("the browser sees no difference")
    with chromium() as browser:
        site = Site(backend.env, tmp_path, worker=False)
        try:
            page = browser.new_page()
            page.goto(f"{site.url}/login")
            page.fill("#username", "admin")
            page.fill("#password", PASSWORD)
            page.click("#sign-in")
            page.wait_for_selector("#who")
            ours = {"Origin": site.url}
            made = page.context.request.post(f"{site.url}/api/channels", data={"name": "ours"}, headers=ours)
            assert made.status == 201, made.text()
            for action, name in (("/api/channels", '{"name": "theirs", "description": "'), ("/logout", "x")):
                form = FORM.format(action=site.url + action, name=name, value='"}')
                with another_site(form) as address, page.expect_navigation(url=f"{site.url}{action}") as arrived:
                    page.goto(address)
                assert arrived.value.status == 403 and arrived.value.json()["code"] == "cross_site", action
            names = [one["name"] for one in site.call("GET", "/api/channels")["items"]]
            assert "ours" in names and "theirs" not in names
            page.goto(f"{site.url}/login")
            assert page.inner_text("#who") == "admin"
        finally:
            site.stop()
