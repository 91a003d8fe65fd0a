"""`anaconda login`, `whoami`, `auth api-key` and `logout`, the real ones, by both flows and over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
import urllib3

from tests.kit.anaconda import Anaconda
from tests.kit.commands import serving
from tests.kit.processes import free_port

PASSWORD = "correct horse battery"


class Person:
    """A person's browser without a window, which trusts the server's own certificate."""

    def __init__(self, url: str, ca: Path) -> None:
        self._url, self._pool, self._cookie = url, urllib3.PoolManager(retries=False, ca_certs=str(ca)), ""

    def send(self, path: str, **fields: str) -> urllib3.BaseHTTPResponse:
        """Post a form of a page."""
        headers = {"Origin": self._url, "Content-Type": "application/x-www-form-urlencoded", "Cookie": self._cookie}
        answer = self._pool.request(
            "POST", self._url + path, body=urlencode(fields), headers=headers, redirect=False, timeout=30
        )
        if "set-cookie" in answer.headers:
            self._cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def decide(self, code: str, answer: str) -> None:
        """Sign in and decide about a command line."""
        assert self.send("/login", username="admin", password=PASSWORD).status == 303
        assert self.send("/device", user_code=code, answer=answer).status == 200

    def follow(self, address: str, answer: str) -> tuple[int, str]:
        """Sign in, press a button on the page of an address, and go wherever that leads: its status and address."""
        assert self.send("/login", username="admin", password=PASSWORD).status == 303
        page = urlsplit(address)
        pressed = self.send(page.path, **dict(parse_qsl(page.query)), answer=answer)
        assert pressed.status == 303
        # the command opens the browser before it listens, and takes one connection only
        until_it_listens = urllib3.Retry(connect=60, backoff_factor=0.1, backoff_max=0.5)
        place = pressed.headers["location"]
        back = self._pool.request("GET", place, redirect=False, retries=until_it_listens, timeout=30)
        end = back.headers["location"]
        return self._pool.request("GET", end, timeout=30).status, end

    def asks_as(self, key: str) -> int:
        """Return the status of a request with a key."""
        return self._pool.request("GET", f"{self._url}/api/account", headers={"Authorization": f"Bearer {key}"}).status


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    words = ("serve", "--port", "0", "--no-worker", "--tls-self-signed")
    with serving(tmp_path, *words, PACKHOUSE_ADMIN_PASSWORD=PASSWORD, PACKHOUSE_DEFAULT_FEEDS="false") as (url, _):
        yield url.replace("127.0.0.1", "localhost"), tmp_path / "packhouse-data" / "tls" / "self-signed.pem"


def test_a_person_logs_in_says_who_they_are_and_logs_out(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, ca = site
    person, anaconda = Person(url, ca), Anaconda(tmp_path / "home", url, ca)
    login = anaconda.login()
    person.decide(login.code, "approve")
    code, said = login.finish()
    assert code == 0, said
    assert "admin" in anaconda.run("whoami")
    assert anaconda.kept()["Anaconda Cloud"]
    key = anaconda.run("auth", "api-key").strip().splitlines()[-1]
    claims = jwt.decode(key, options={"verify_signature": False})
    assert claims["preferred_username"] == "admin" and claims["realm_access"]["roles"] == ["admin"]
    assert person.asks_as(key) == 200

    again = anaconda.login("--force")  # it sends the old key along
    person.decide(again.code, "approve")
    code, said = again.finish()
    assert code == 0, said
    assert "admin" in anaconda.run("whoami")
    anaconda.run("logout")
    assert anaconda.kept() in ({}, {"Anaconda Cloud": {}})


def test_a_denied_login_fails(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, ca = site
    person, anaconda = Person(url, ca), Anaconda(tmp_path / "home", url, ca)
    login = anaconda.login()
    person.decide(login.code, "deny")
    code, said = login.finish()
    assert code != 0, said
    assert anaconda.kept() in ({}, {"Anaconda Cloud": {}})


def test_a_person_logs_in_by_a_browser_that_comes_back(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, ca = site
    person, anaconda = Person(url, ca), Anaconda(tmp_path / "home", url, ca, free_port())
    login = anaconda.open_browser()
    assert person.follow(login.address, "approve") == (200, f"{url}/app/local-login-success")
    code, said = login.finish()
    assert code == 0, said
    assert "admin" in anaconda.run("whoami")
    key = anaconda.run("auth", "api-key").strip().splitlines()[-1]
    assert person.asks_as(key) == 200


def test_a_login_denied_in_the_browser_fails(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, ca = site
    person, anaconda = Person(url, ca), Anaconda(tmp_path / "home", url, ca, free_port())
    login = anaconda.open_browser()
    assert person.follow(login.address, "deny") == (200, f"{url}/app/local-login-error")
    code, said = login.finish()
    assert code != 0, said
    assert anaconda.kept() in ({}, {"Anaconda Cloud": {}})
