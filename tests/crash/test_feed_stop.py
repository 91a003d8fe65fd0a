"""SIGTERM while a feed runs: the server is gone within seconds, and the feed is taken in after the next start."""

from __future__ import annotations

import http.server
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.feeding import osv, zipped
from tests.kit.server import Site, site_on

#: a stop that waits for something gives up after ten seconds or more
SECONDS = 9.0


@contextmanager
def dripping() -> Iterator[str]:
    """Serve a feed that never ends, a few bytes at a time; gives its address."""
    ended = threading.Event()

    class Drip(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 30))
            self.end_headers()
            while not ended.wait(0.1):
                try:
                    self.wfile.write(b"{")
                except OSError:
                    return

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/all.jsonl"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def stopped_in(site: Site) -> float:
    """Return how many seconds the server and all it started need to end."""
    begun = time.monotonic()
    site.process.send_signal(signal.SIGTERM)
    site.process.wait(30)
    return time.monotonic() - begun


def wait_for(site: Site, what: Callable[[dict[str, object]], bool]) -> None:
    deadline = time.monotonic() + 180
    while not any(map(what, site.call("GET", "/api/feeds")["items"])):  # the worker makes them at its start
        assert time.monotonic() < deadline, site.call("GET", "/api/feeds")
        time.sleep(0.05)


def test_a_source_that_drips_holds_nothing_up(backend: Backend) -> None:
    with dripping() as url, site_on(backend, feeds=url) as site:
        wait_for(site, lambda feed: feed["state"] == "running")
        time.sleep(0.5)
        assert stopped_in(site) < SECONDS
        site.start()
        wait_for(site, lambda feed: feed["state"] == "running")


@pytest.mark.parametrize(("step", "number"), [("Reading", 20_000), ("Merging vulnerabilities", 3_000)])
def test_work_on_a_large_feed_is_left_and_gone_on_with(
    backend: Backend, tmp_path: Path, step: str, number: int
) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(zipped(osv(one) for one in range(number)))
    with site_on(backend, feeds=str(path)) as site:
        wait_for(site, lambda feed: step in str(feed["progress"]))
        assert stopped_in(site) < SECONDS
        site.start()
        wait_for(site, lambda feed: feed["state"] == "completed" or (step == "Reading" and feed["state"] == "running"))
