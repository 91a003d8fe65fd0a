"""`packhouse demo`: a server with something in it, made from what this machine has, without any network."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import urllib3

from packhouse.cli.demo.channel import build_upstream
from packhouse.cli.running import serve, settings_of
from packhouse.core.clock import monotonic
from packhouse.core.randomness import random_hex
from packhouse.core.settings import Settings

CHANNEL = "demo"
WAIT_SECONDS = 60.0
_NAP = threading.Event()  # never set: waiting for it is a nap


def demo(data: Path | None, host: str | None, port: int | None) -> None:
    """Build the upstream, serve, fill the channel `demo` by mirroring, and say how to use it."""
    settings = settings_of(data or Path("packhouse-demo"), host, port)
    upstream = settings.data_dir / "demo-upstream"
    if not upstream.is_dir():
        build_upstream(upstream, lambda line: _say(f"  {line}"))
    password = settings.admin_password or _remembered_password(settings.data_dir)
    settings = settings_of(settings.data_dir, settings.host, settings.port, password)
    serve(settings, ready=lambda: _fill(settings, password, upstream))


def _remembered_password(folder: Path) -> str:
    """Return the demonstration's password, made once and kept beside its data: this is no real installation."""
    file = folder / "demo-password"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(random_hex(8))
    return file.read_text()


class Api:
    """The management API, as any client uses it."""

    def __init__(self, base: str) -> None:
        self._base, self._pool, self._token = base, urllib3.PoolManager(), ""

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return (status, decoded JSON)."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        answer = self._pool.request(method, self._base + path, json=body, headers=headers, retries=False, timeout=30)
        return answer.status, json.loads(answer.data) if answer.data else None

    def login(self, username: str, password: str) -> None:
        """Wait for the server and log in."""
        deadline = monotonic() + WAIT_SECONDS
        while True:
            try:
                self.call("GET", "/api/system")
                break
            except (urllib3.exceptions.HTTPError, ValueError):
                if monotonic() > deadline:
                    raise
                _NAP.wait(0.1)
        self._token = self.call("POST", "/api/auth/login", {"username": username, "password": password})[1]["token"]


def _fill(settings: Settings, password: str, upstream: Path) -> None:
    base = f"http://{settings.host}:{settings.port}"
    api = Api(base)
    api.login("admin", password)
    api.call("POST", "/api/channels", {"name": CHANNEL, "privacy": "public", "description": "Something to try"})
    mirror = {
        "mirror_name": "demo-upstream",
        "source_root": upstream.as_uri(),
        "mirror_mode": "passive",
        "mirror_type": "conda",
        "run_now": True,
    }
    api.call("POST", f"/api/channels/{CHANNEL}/mirrors", mirror)
    deadline = monotonic() + WAIT_SECONDS
    state = "pending"
    while state not in ("completed", "failed", "stopped") and monotonic() < deadline:
        _NAP.wait(0.1)
        items = api.call("GET", f"/api/channels/{CHANNEL}/mirrors")[1]["items"]
        state = items[0]["state"] if items else "missing"
    count = api.call("GET", f"/api/channels/{CHANNEL}")[1]["artifact_count"]
    _say(_usage(base, password, state, count))


def _usage(base: str, password: str, state: str, count: int) -> str:
    url = f"{base}/api/repo/{CHANNEL}"
    return f"""
The channel `{CHANNEL}` is ready: {count} packages (mirror {state}). User `admin`, password {password}

  conda create -n try --override-channels -c {url} python rich
  micromamba create -n try --override-channels -c {url} python rich
  pixi init try --channel {url} && cd try && pixi add python rich

  or in .condarc:  channel_alias: {base}/api/repo
                   channels: [{CHANNEL}]

  The API is described at {base}/api/openapi.json. Stop the server with Ctrl-C.
"""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
