"""The whole of it: real server processes and their worker, a real directory, and what a person reaches through them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.conftest import Backend
from tests.integration.signin.test_ldap_sync import identity_file
from tests.kit.server import Site, site_on
from tests.kit.slapd import Slapd, cn, group, person, slapd, uid

PERIOD = 2
#: the period, what a run takes on a busy machine, and the time in which every process hears of it
WITHIN = PERIOD + 30


@pytest.fixture
def corp(tmp_path: Path) -> Iterator[Slapd]:
    entries = {uid(name): person(name) for name in ("kim", "lee")}
    entries[cn("data")] = group("data", [uid("kim"), uid("lee")])
    with slapd(tmp_path / "corp", entries) as server:
        yield server


class Client:
    """Somebody who calls the server, each time on a new connection, so that every process is met."""

    def __init__(self, site: Site, headers: dict[str, str]) -> None:
        self.site, self.headers = site, headers

    def call(self, method: str, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
        sent = {**self.headers, "connection": "close"} | ({"content-type": "application/json"} if body else {})
        data = None if body is None else json.dumps(body).encode()
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request(method, self.site.url + path, body=data, headers=sent, timeout=60)

    def statuses(self, path: str) -> set[int]:
        """Return what all processes answer: of so many connections, each of two is asked."""
        return {self.call("GET", path).status for _ in range(12)}


def until_all(clients: dict[str, Client], path: str, status: int) -> None:
    deadline = time.monotonic() + WITHIN
    while {name: client.statuses(path) for name, client in clients.items()} != {name: {status} for name in clients}:
        assert time.monotonic() < deadline, {name: client.statuses(path) for name, client in clients.items()}
        time.sleep(0.1)


def test_one_removed_from_a_group_loses_access_within_the_period(backend: Backend, corp: Slapd, tmp_path: Path) -> None:
    file = identity_file(tmp_path, corp, f"sync_seconds = {PERIOD}\n")
    with site_on(backend, processes=2, identity_file=str(file)) as site:
        answer = Client(site, {}).call("POST", "/api/auth/login", {"username": "kim", "password": "kim-password"})
        assert answer.status == 200, answer.data
        session = Client(site, {"authorization": f"Bearer {answer.json()['token']}"})
        made = session.call("POST", "/api/account/tokens", {"name": "conda", "scopes": ["channel:view-artifacts"]})
        assert made.status == 200, made.data
        token = Client(site, {"x-auth": made.json()["token"]})
        basic = Client(site, urllib3.make_headers(basic_auth="kim:kim-password"))
        site.call("POST", "/api/channels", {"name": "secrets", "privacy": "private"})
        site.call("PUT", "/api/channels/secrets/groups/data", {"level": "read"})
        everybody = {"session": session, "token": token, "password": basic}
        index = "/api/repo/secrets/noarch/repodata.json"
        until_all(everybody, index, 200)

        corp.set(cn("data"), "member", [uid("lee")])
        until_all(everybody, index, 404)
        assert session.statuses("/api/channels/secrets") == {404}
        assert session.statuses("/api/account") == {200}  # they are still somebody
        corp.set(cn("data"), "member", [uid("lee"), uid("kim")])
        until_all(everybody, index, 200)

        corp.delete(uid("kim"))
        until_all({"session": session, "token": token}, "/api/account", 401)
        assert basic.statuses("/api/account") <= {401, 429}  # a password that is none any more counts as a guess
        (shown,) = site.call("GET", "/api/identity-providers")["items"]
        assert shown["sync"]["state"] == "ok" and shown["people"] == 1
