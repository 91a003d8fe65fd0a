"""A real Keycloak with the realm that we ship, for people to sign in through.

`PACKHOUSE_TEST_KEYCLOAK` names an unpacked Keycloak, which is copied; `scripts/test` fetches one. A start takes half a
minute, of one that was never built (`kc.sh build --db=dev-mem`) a whole one: one start serves all tests of a run.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from tests.kit.commands import plain_environment
from tests.kit.processes import find_program, start, stop
from tests.kit.services import missing

FOLDER = "PACKHOUSE_TEST_KEYCLOAK"
REALM = Path(__file__).parent.parent.parent / "deploy" / "keycloak" / "packhouse-realm.json"
SECRET, ADMIN = "a-secret-of-the-tests", "admin"
START_SECONDS = 300
# as started for development, but for what would be built anew at each start
OPTIONS = ["--db=dev-mem", "--cache=local", "--http-enabled=true", "--hostname-strict=false"]
# compiling well what runs for a minute costs a third more than it gives
JAVA_OPTS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xms64m -Xmx512m"

PEOPLE: list[dict[str, Any]] = [
    {
        "username": name,
        "enabled": True,
        "email": f"{name}@example.org",
        "emailVerified": True,
        "firstName": name.title(),
        "lastName": "Lee",
        "credentials": [{"type": "password", "value": f"{name}-password", "temporary": False}],
        "groups": groups,
        "realmRoles": ["author"],
    }
    for name, groups in (("kim", ["/data-science"]), ("lou", ["/finance"]))
]


class Keycloak:
    """A running server, called as its administrator."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.issuer = f"{self.url}/realms/packhouse"
        self._pool = urllib3.PoolManager(retries=False)

    def ready(self) -> bool:
        """Tell whether the realm is there."""
        try:
            return self._pool.request("GET", f"{self.issuer}/.well-known/openid-configuration", timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def call(self, method: str, path: str) -> Any:
        """Ask the admin API about the realm; returns the decoded body, if there is one."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN}
        address = f"{self.url}/realms/master/protocol/openid-connect/token"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        token = self._pool.request("POST", address, body=urlencode(form), headers=kind, timeout=60).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = self._pool.request(method, f"{self.url}/admin/realms/packhouse/{path}", headers=headers, timeout=60)
        assert answer.status < 300, (method, path, answer.status, answer.data)
        return answer.json() if answer.data else None

    def number_of(self, username: str) -> str:
        """Return the id of a person."""
        [found] = self.call("GET", f"users?username={username}&exact=true")
        return str(found["id"])

    def join(self, username: str, group: str) -> None:
        """Put somebody into a group."""
        self.call("PUT", f"users/{self.number_of(username)}/groups/{self._group(group)}")

    def leave(self, username: str, group: str) -> None:
        """Take somebody out of a group."""
        self.call("DELETE", f"users/{self.number_of(username)}/groups/{self._group(group)}")

    def _group(self, name: str) -> str:
        [found] = self.call("GET", f"groups?search={name}&exact=true")
        return str(found["id"])


def unpacked() -> str:
    """Return the folder of an unpacked Keycloak; skips the test without one, or without Java."""
    if find_program("java") is None:
        missing("Java", "apt-get install default-jre-headless")
    return os.environ.get(FOLDER) or missing("Keycloak", f"scripts/test, or name an unpacked one in {FOLDER}")


@contextmanager
def keycloak(folder: Path, port: int, packhouse: str) -> Iterator[Keycloak]:
    """Run one on that port, for a server at the address `packhouse`."""
    home = folder / "keycloak"
    shutil.copytree(unpacked(), home, ignore=shutil.ignore_patterns("data"))
    (home / "data" / "import").mkdir(parents=True)
    realm = json.loads(REALM.read_text())
    realm |= {"sslRequired": "none", "users": PEOPLE, "groups": [{"name": "data-science"}, {"name": "finance"}]}
    (home / "data" / "import" / "packhouse-realm.json").write_text(json.dumps(realm))
    env = {
        **plain_environment(),
        "PACKHOUSE_URL": packhouse,
        "PACKHOUSE_CLIENT_SECRET": SECRET,
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN,
        "JAVA_OPTS": JAVA_OPTS,
    }
    log, place = folder / "keycloak.log", ["--http-host=127.0.0.1", f"--http-port={port}"]
    process = start([home / "bin" / "kc.sh", "start", *OPTIONS, *place, "--import-realm"], log=log, env=env)
    server, deadline = Keycloak(port), time.monotonic() + START_SECONDS
    try:
        while not server.ready():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.5)
        yield server
    finally:
        stop(process)
