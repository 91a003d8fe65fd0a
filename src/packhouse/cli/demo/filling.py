"""Fills the demo's channel through the management API, and goes on where an earlier, interrupted demo ended."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import urllib3

from packhouse.core.clock import monotonic
from packhouse.core.errors import PackhouseError

CHANNEL = "demo"
#: how long the mirror may take, in seconds; a run cut off by `kill -9` is taken up when its lease of 30 s has ended
WAIT_SECONDS = 120.0
_NAP = threading.Event()  # never set: waiting for it is a nap


class Api:
    """The management API at a base URL, as any client uses it."""

    def __init__(self, base: str) -> None:
        self._base, self._pool = base, urllib3.PoolManager(retries=False, timeout=30)
        self._headers: dict[str, str] = {}

    def call(self, method: str, path: str, body: Any = None, *, accept: tuple[int, ...] = ()) -> Any:
        """Return the decoded JSON of an answer. Raises PackhouseError when it is a refusal of another status."""
        try:
            answer = self._pool.request(method, self._base + path, json=body, headers=self._headers)
            found: Any = json.loads(answer.data) if answer.data else None
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise PackhouseError(
                "try_later", f"The server did not answer {method} {path}: {error}.", "See its log."
            ) from error
        if answer.status >= 400 and answer.status not in accept:
            raise PackhouseError(found["code"], f"{method} {path} was refused: {found['message']}")
        return found

    def login(self, username: str, password: str) -> None:
        """Act as this user from now on. Raises PackhouseError("unauthenticated") when the password is another."""
        answer = self.call("POST", "/api/auth/login", {"username": username, "password": password})
        self._headers = {"Authorization": f"Bearer {answer['token']}"}


def fill(api: Api, upstream: Path) -> int:
    """Mirror the upstream into the channel, unless that is done; return the number of packages.

    Raises PackhouseError when the mirror does not complete, with what it says of itself.
    """
    api.call(
        "POST",
        "/api/channels",
        {"name": CHANNEL, "privacy": "public", "description": "Something to try"},
        accept=(409,),  # there already
    )
    mirrors = f"/api/channels/{CHANNEL}/mirrors"
    wanted = {
        "mirror_name": "demo-upstream",
        "source_root": upstream.as_uri(),
        "mirror_mode": "passive",
        "mirror_type": "conda",
    }
    found = next((one for one in api.call("GET", mirrors)["items"] if one["mirror_name"] == "demo-upstream"), None)
    if found is None:
        found = api.call("POST", mirrors, wanted | {"run_now": True})
    elif found["state"] != "completed" or found["source_root"] != wanted["source_root"]:
        found = api.call("PUT", f"{mirrors}/{found['mirror_id']}", wanted | {"run_now": True})
    _wait(api, f"{mirrors}/{found['mirror_id']}")
    return int(api.call("GET", f"/api/channels/{CHANNEL}")["artifact_count"])


def _wait(api: Api, mirror: str) -> None:
    """Return when the mirror has completed."""
    deadline = monotonic() + WAIT_SECONDS
    while (found := api.call("GET", mirror))["state"] != "completed":
        if found["state"] not in ("pending", "running") or monotonic() > deadline:
            how = found["sync_state"]
            why = how["last_exception"] or how["current_step_description"] or "it says nothing more"
            raise PackhouseError(
                "upstream_failed",
                f"The demo's mirror has not completed; it is {found['state']}: {why.rstrip('.')}.",
                "Start the demo again to go on, or remove its folder to begin anew.",
            )
        _NAP.wait(0.1)
