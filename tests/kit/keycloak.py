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

    def __init__(self, port: int, home: Path) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port}"
        self.issuer = f"{self.url}/realms/packhouse"
        self._pool = urllib3.PoolManager(retries=False)

    def ready(self) -> bool:
        """Tell whether the realm is there; it is served when all realms are imported."""
        try:
            return self._pool.request("GET", f"{self.issuer}/.well-known/openid-configuration", timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def fetch(self, url: str) -> bytes:
        """Return what anybody is answered at an address of it."""
        answer = self._pool.request("GET", url, timeout=60)
        assert answer.status == 200, (url, answer.status, answer.data)
        return answer.data

    def call(self, method: str, path: str, body: Any = None, realm: str = "packhouse") -> Any:
        """Ask the admin API about a realm, with JSON or a document as it is; returns the decoded body, if any."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN}
        address = f"{self.url}/realms/master/protocol/openid-connect/token"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        token = self._pool.request("POST", address, body=urlencode(form), headers=kind, timeout=60).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        if body is not None:
            headers["Content-Type"] = "application/xml" if isinstance(body, bytes) else "application/json"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        address = f"{self.url}/admin/realms/{realm}/{path}"
        answer = self._pool.request(method, address, body=data, headers=headers, timeout=60)
        assert answer.status < 300, (method, path, answer.status, answer.data)
        return answer.json() if answer.data else None

    def number_of(self, username: str, realm: str = "packhouse") -> str:
        """Return the id of a person."""
        [found] = self.call("GET", f"users?username={username}&exact=true", realm=realm)
        return str(found["id"])

    def join(self, username: str, group: str, realm: str = "packhouse") -> None:
        """Put somebody into a group."""
        self._membership("PUT", username, group, realm)

    def leave(self, username: str, group: str, realm: str = "packhouse") -> None:
        """Take somebody out of a group."""
        self._membership("DELETE", username, group, realm)

    def _membership(self, method: str, username: str, group: str, realm: str) -> None:
        [found] = self.call("GET", f"groups?search={group}&exact=true", realm=realm)
        self.call(method, f"users/{self.number_of(username, realm)}/groups/{found['id']}", realm=realm)


def unpacked() -> str:
    """Return the folder of an unpacked Keycloak; skips the test without one, or without Java."""
    if find_program("java") is None:
        missing("Java", "apt-get install default-jre-headless")
    return os.environ.get(FOLDER) or missing("Keycloak", f"scripts/test, or name an unpacked one in {FOLDER}")


@contextmanager
def keycloak(folder: Path, port: int, packhouse: str, *realms: dict[str, Any]) -> Iterator[Keycloak]:
    """Run one on that port, for a server at the address `packhouse`, with further realms besides the one we ship."""
    home = folder / "keycloak"
    shutil.copytree(unpacked(), home, ignore=shutil.ignore_patterns("data"))
    (home / "data" / "import").mkdir(parents=True)
    realm = json.loads(REALM.read_text())
    realm |= {"sslRequired": "none", "users": PEOPLE, "groups": [{"name": "data-science"}, {"name": "finance"}]}
    for one in (realm, *realms):
        (home / "data" / "import" / f"{one['realm']}-realm.json").write_text(json.dumps(one))
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
    server, deadline = Keycloak(port, home), time.monotonic() + START_SECONDS
    try:
        while not server.ready():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.5)
        yield server
    finally:
        stop(process)
