"""Somebody in a group installs with a real client from exactly the channels that the group reaches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.rattler_client import Result, solve_and_install
from tests.kit.server import Site, site_on

MEMBER_PASSWORD = "not the administrator's"


@pytest.fixture
def site(backend: Backend) -> Iterator[Site]:
    """A running server without jobs."""
    with site_on(backend, worker=False) as running:
        yield running


def token_of_member(site: Site) -> str:
    """Make an account and a token that may do what it may."""
    site.call("POST", "/api/users", {"username": "member", "password": MEMBER_PASSWORD})
    login = json.dumps({"username": "member", "password": MEMBER_PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    session = json.loads(site.request("POST", "/api/auth/login", login, headers).data)["token"]
    headers["Authorization"] = f"Bearer {session}"
    body = json.dumps({"name": "conda", "expires_at": "2099-01-01"}).encode()
    made = site.request("POST", "/api/account/tokens", body, headers)
    assert made.status == 200, made.data
    return str(json.loads(made.data)["token"])


def install(site: Site, channel: str, auth: Path, folder: Path) -> Result:
    """Install from a channel into a folder of its own."""
    return solve_and_install(
        f"{site.url}/api/repo/{channel}", ["tool"], folder / "env", auth_file=auth, cache_dir=folder / "cache"
    )


def test_a_member_installs_from_exactly_the_groups_channels(site: Site, tmp_path: Path) -> None:
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"127.0.0.1": {"BearerToken": token_of_member(site)}}))
    site.call("POST", "/api/groups", {"name": "scientists"})
    for channel in ("shared", "other"):
        site.call("POST", "/api/channels", {"name": channel, "privacy": "private"})
        put = site.request("PUT", f"/api/repo/{channel}/noarch/tool-1.0-0.conda", make_conda("tool", "1.0"))
        assert put.status in (200, 201), put.data
    site.call("PUT", "/api/channels/shared/groups/scientists", {"level": "read"})
    assert "404" in install(site, "shared", auth, tmp_path / "before").error
    site.call("PUT", "/api/groups/scientists/members/member", {})
    reached = install(site, "shared", auth, tmp_path / "shared")
    assert reached.ok and reached.installed == {"tool": "1.0"}, reached.error
    assert "404" in install(site, "other", auth, tmp_path / "other").error
    site.call("DELETE", "/api/groups/scientists/members/member")
    time.sleep(2)  # in which every process has heard of it
    assert "404" in install(site, "shared", auth, tmp_path / "after").error
