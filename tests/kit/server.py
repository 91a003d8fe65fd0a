"""A real `packhouse serve` with its worker, as users start it: processes on a free port, called over HTTP."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import urllib3

from tests.conftest import Backend
from tests.kit.commands import plain_environment
from tests.kit.processes import free_port, start, stop, wait_until

PASSWORD = "correct horse battery"


class Site:
    """One running server, called as the administrator."""

    def __init__(self, env: Mapping[str, str], folder: Path, *, worker: bool = True, processes: int = 1) -> None:
        self.env = {**plain_environment(), **env, "PACKHOUSE_ADMIN_PASSWORD": PASSWORD}
        self._options = ["--processes", str(processes), *([] if worker else ["--no-worker"])]
        self.log = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._pool = urllib3.PoolManager(retries=False)
        self.headers: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        """Start the processes, also again after `kill`, and log in."""
        self.launch()
        self.until_ready()
        token = self.call("POST", "/api/auth/login", {"username": "admin", "password": PASSWORD})["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def launch(self) -> None:
        """Start the processes only."""
        command = [sys.executable, "-m", "packhouse", "serve", "--port", str(self.port)]
        self.process = start([*command, *self._options], log=self.log, env=self.env)

    def until_ready(self) -> None:
        """Wait until it answers."""
        wait_until(self._answers, self.process, self.log)

    def recover(self) -> None:
        """Wait until it answers; start it again if it gives up, as it does when a server process dies twice at once."""
        try:
            self.until_ready()
        except RuntimeError:
            if self.process.poll() is None:
                raise
            self.start()

    def _answers(self) -> bool:
        try:
            return self._pool.request("GET", f"{self.url}/api/system", timeout=10).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send a request as the administrator and return the whole answer, whatever its status."""
        return self._pool.request(
            method, self.url + path, body=body, headers={**self.headers, **(headers or {})}, timeout=120
        )

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send and return JSON; fails the test on a status of 400 and above."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.request(method, path, data, {"Content-Type": "application/json"})
        assert answer.status < 400, (method, path, answer.status, answer.data)
        return json.loads(answer.data) if answer.data else None

    def mirror(self, channel: str, source: str, seconds: float = 120, **more: Any) -> dict[str, Any]:
        """Mirror `source` into a new public channel and wait until the run has completed."""
        self.call("POST", "/api/channels", {"name": channel, "privacy": "public"})
        body = {"mirror_name": "upstream", "source_root": source, "mirror_type": "conda", "run_now": True, **more}
        self.call("POST", f"/api/channels/{channel}/mirrors", body)
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.call("GET", f"/api/channels/{channel}/mirrors")["items"][0]
            if found["state"] not in ("pending", "running"):
                assert found["state"] == "completed", found
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def kill(self) -> None:
        """`kill -9` of the server and of everything it started."""
        started = self.children()
        os.killpg(self.process.pid, signal.SIGKILL)
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(60)

    def children(self) -> list[int]:
        """Return the processes that the first one started: servers and the worker (Linux)."""
        return _children(self.process.pid)

    def family(self) -> list[int]:
        """Return all processes below the first one: also those that look into archives (Linux)."""
        return [pid for child in self.children() for pid in (child, *_children(child))]

    def stop(self) -> None:
        """End it in good order."""
        stop(self.process)


@contextmanager
def site_on(backend: Backend, *, worker: bool = True, processes: int = 1, **settings: str) -> Iterator[Site]:
    """Run a server on an installation for the time of a test; `settings` go on top."""
    more = {f"PACKHOUSE_{name.upper()}": value for name, value in settings.items()}
    site = Site({**backend.env, **more}, backend.data_dir, worker=worker, processes=processes)
    try:
        yield site
    finally:
        site.stop()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
