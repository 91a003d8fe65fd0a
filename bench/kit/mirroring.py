"""Mirrors as an administrator makes and runs them: through the API."""

from __future__ import annotations

import json
import time
from typing import Any

from bench.kit.http import Connection

_WAIT_SECONDS = 1800


def add_mirror(connection: Connection, channel: str, source: str, *, mode: str = "passive") -> str:
    """Add a mirror that runs at once; return its id."""
    body = {"mirror_name": "upstream", "source_root": source, "mirror_mode": mode, "mirror_type": "conda"}
    return str(_call(connection, "POST", f"/api/channels/{channel}/mirrors", {**body, "run_now": True})["mirror_id"])


def run_again(connection: Connection, channel: str, mirror: str) -> float:
    """Run a mirror now; return the seconds until it has ended."""
    before = _state(connection, channel, mirror)["last_run_at"]
    begun = time.perf_counter()
    _call(connection, "POST", f"/api/channels/{channel}/mirrors/{mirror}/restart_mirror_sync", {})
    finished(connection, channel, mirror, after=before)
    return time.perf_counter() - begun


def finished(connection: Connection, channel: str, mirror: str, after: str | None = None) -> dict[str, Any]:
    """Wait for the end of the run that is under way; return the mirror. Raises RuntimeError when it failed."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        found = _state(connection, channel, mirror)
        if found["state"] in ("failed", "stopped"):
            raise RuntimeError(f"the mirror ended as {found['state']}: {found['sync_state']}")
        if found["state"] == "completed" and found["last_run_at"] != after:
            return found
        time.sleep(0.01)
    raise RuntimeError("the mirror did not end")


def _state(connection: Connection, channel: str, mirror: str) -> dict[str, Any]:
    for found in _call(connection, "GET", f"/api/channels/{channel}/mirrors")["items"]:
        if found["mirror_id"] == mirror:
            return dict(found)
    raise RuntimeError("the mirror is gone")


def _call(connection: Connection, method: str, path: str, body: object = None) -> dict[str, Any]:
    sent = b"" if body is None else json.dumps(body).encode()
    answer = connection(method, path, sent, content_type="application/json")
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} was answered with {answer.status}: {answer.body[:500]!r}")
    return dict(json.loads(answer.body))
