"""Real packages are uploaded by real clients; a real client builds environments from them, by every credential."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.rattler_client import Result, solve_and_install
from tests.kit.realchannel import build_real_channel
from tests.kit.server import PASSWORD, Site, site_on

ONE_BACKEND = pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)

#: what py-rattler-build runs for `rattler-build upload artifactory`
UPLOAD = """
import json, sys, rattler_build
files, url, channel, token = json.load(sys.stdin)
rattler_build.upload_package_to_artifactory(files, url, channel, token=token)
"""


@pytest.fixture
def site(backend: Backend) -> Iterator[Site]:
    """A running server without jobs."""
    with site_on(backend, worker=False) as running:
        yield running


def upload(site: Site, channel: str, files: list[Path], token: str) -> subprocess.CompletedProcess[str]:
    """Upload with py-rattler-build, in a process of its own."""
    order = [[str(file) for file in files], f"{site.url}/api/repo", channel, token]
    return subprocess.run(
        [sys.executable, "-c", UPLOAD], input=json.dumps(order), capture_output=True, text=True, timeout=120
    )


def token_of(site: Site, headers: dict[str, str] | None = None, scopes: list[str] | None = None) -> str:
    """Make a token for whoever `headers` show: the administrator by default."""
    scopes = scopes or ["channel:view", "channel:view-artifacts", "artifact:download", "artifact:create"]
    body = json.dumps({"name": f"client for {scopes}", "expires_at": "2099-01-01", "scopes": scopes}).encode()
    more = {"Content-Type": "application/json", **(headers or {})}
    answer = site.request("POST", "/api/account/tokens", body, more)
    assert answer.status == 200, answer.data
    return str(json.loads(answer.data)["token"])


def test_an_environment_of_uploaded_packages_runs(site: Site, tmp_path: Path) -> None:
    files = sorted(build_real_channel(tmp_path / "packages").rglob("*.conda"))
    site.call("POST", "/api/channels", {"name": "team", "privacy": "public"})
    token = token_of(site)
    for subdir in {file.parent.name for file in files}:
        done = upload(site, "team", [file for file in files if file.parent.name == subdir], token)
        assert done.returncode == 0, done.stdout + done.stderr
    for shards in (True, False):
        prefix = tmp_path / f"env-{shards}"
        result = solve_and_install(
            f"{site.url}/api/repo/team", ["python", "flask"], prefix, shards=shards, cache_dir=tmp_path / f"c-{shards}"
        )
        assert result.ok, result.error
        said = subprocess.run([prefix / "bin" / "flask", "--version"], capture_output=True, text=True, check=True)
        assert result.installed["flask"] in said.stdout


@ONE_BACKEND
def test_what_the_upload_client_says(site: Site, tmp_path: Path) -> None:
    site.call("POST", "/api/channels", {"name": "team", "privacy": "private"})
    token = token_of(site)
    first, second = tmp_path / "a" / "one-1.0-0.conda", tmp_path / "b" / "one-1.0-0.conda"
    for file, content in ((first, b"first"), (second, b"second")):
        file.parent.mkdir()
        file.write_bytes(make_conda("one", "1.0", files={"share/one": content}))
    assert upload(site, "team", [first], token).returncode == 0
    assert upload(site, "team", [first], token).returncode == 0  # the same again is no fault
    for file, channel, with_token in (
        (second, "team", token),  # 409
        (first, "team", "0" * 48),  # 401
        (first, "nowhere", token),  # 404
        (first, "team", token_of(site, scopes=["channel:view"])),  # 403
    ):
        refused = upload(site, channel, [file], with_token)
        assert refused.returncode != 0 and "Server responded with error" in refused.stderr  # all it says, whatever ours
    assert site.request("GET", "/api/repo/team/noarch/one-1.0-0.conda").data == first.read_bytes()


@ONE_BACKEND
def test_no_upload_makes_its_package_unusable(site: Site, tmp_path: Path) -> None:
    """What is refused is refused; what is taken, however odd, leaves every build of the name installable."""
    site.call("POST", "/api/channels", {"name": "team", "privacy": "public"})
    odd: list[dict[str, Any]] = [
        {"timestamp": 253_402_207_200_000}, {"timestamp": 253_402_300_800_001}, {"features": 7}, {"features": "a"},
        {"track_features": {}}, {"extra_depends": {"a": ["b"]}}, {"extra_depends": 7}, {"legacy_bz2_size": -5},
        {"purls": "a"}, {"purls": ["pkg:pypi/one"]}, {"flags": 7}, {"run_exports": "a"}, {"depends": [">>> x"]},
        {"legacy_bz2_md5": "zz"}, {"platform": 7}, {"a key of ours": 7}, {"license": None},
    ]  # fmt: skip
    statuses = [
        site.request("PUT", f"/api/repo/team/noarch/one-{n}-0.conda", make_conda("one", str(n), **index)).status
        for n, index in enumerate(odd)
    ]
    taken = [number for number, status in enumerate(statuses) if status == 201]
    assert taken == [0, 3, 5, 9, 15, 16] and set(statuses) == {201, 422}
    for shards in (True, False):
        result = solve_and_install(
            f"{site.url}/api/repo/team", ["one"], None, shards=shards, cache_dir=tmp_path / f"{shards}"
        )
        assert result.installed == {"one": "16"}, result.error


class Reader:
    """py-rattler as somebody who may or may not read a channel."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site, self._folder, self._number = site, folder, 0

    def install(self, channel: str, credential: dict[str, Any] | None, shards: bool | None, prefix: str = "") -> Result:
        """Install `one`; `prefix` is a token's place in the address."""
        self._number += 1
        auth_file = None
        if credential is not None:
            auth_file = self._folder / f"auth-{self._number}.json"
            auth_file.write_text(json.dumps({"127.0.0.1": credential}))
        return solve_and_install(
            f"{self._site.url}{prefix}/api/repo/{channel}",
            ["one"],
            self._folder / f"prefix-{self._number}",
            auth_file=auth_file,
            shards=shards,
            cache_dir=self._folder / f"cache-{self._number}",
        )


@pytest.fixture
def reader(site: Site, tmp_path: Path) -> Reader:
    """Two channels, `mine` of `bob` and `secret` of the administrator, with a package each; and a client."""
    site.call("POST", "/api/users", {"username": "bob", "password": PASSWORD, "role": "author"})
    bob = session_of(site)
    for name, headers in (("mine", bob), ("secret", {})):
        body = json.dumps({"name": name, "privacy": "private"}).encode()
        made = site.request("POST", "/api/channels", body, {"Content-Type": "application/json", **headers})
        assert made.status == 201, made.data
        put = site.request("PUT", f"/api/repo/{name}/noarch/one-1.0-0.conda", make_conda("one", "1.0"))
        assert put.status == 201, put.data
    return Reader(site, tmp_path)


def session_of(site: Site) -> dict[str, str]:
    """Return the header of a login of `bob`."""
    login = site.call("POST", "/api/auth/login", {"username": "bob", "password": PASSWORD})
    return {"Authorization": f"Bearer {login['token']}"}


@ONE_BACKEND
def test_a_private_channel_is_installed_from_with_every_credential_of_the_client(site: Site, reader: Reader) -> None:
    token = token_of(site, session_of(site))
    for credential in (
        {"CondaToken": token},
        {"BearerToken": token},
        {"BasicHTTP": {"username": "bob", "password": PASSWORD}},
        {"BasicHTTP": {"username": token, "password": "x-auth-token"}},
    ):
        for shards in (True, False):
            result = reader.install("mine", credential, shards)
            assert result.ok and result.installed == {"one": "1.0"}, (next(iter(credential)), result.error)
    assert reader.install("mine", None, None, prefix=f"/t/{token}").ok


@ONE_BACKEND
def test_a_token_for_one_channel_opens_no_other_to_the_client(site: Site, reader: Reader, tmp_path: Path) -> None:
    resource = {"resource_type": "channel", "resource_id": "mine", "permission": "read"}
    body = json.dumps({"name": "mine", "resources": [resource]}).encode()
    headers = {"Content-Type": "application/json", **session_of(site)}
    made = json.loads(site.request("POST", "/api/account/tokens", body, headers).data)
    site.call("POST", "/api/channels", {"name": "open", "privacy": "public"})
    site.request("PUT", "/api/repo/open/noarch/one-1.0-0.conda", make_conda("one", "1.0"))
    for credential in ({"CondaToken": made["token"]}, {"BearerToken": made["token"]}):
        assert reader.install("mine", credential, None).installed == {"one": "1.0"}
        assert reader.install("open", credential, None).installed == {"one": "1.0"}  # as for anybody
        assert "404" in reader.install("secret", credential, None).error
    assert reader.install("mine", None, None, prefix=f"/t/{made['token']}").ok
    (tmp_path / "two-1.0-0.conda").write_bytes(make_conda("two", "1.0"))
    refused = upload(site, "mine", [tmp_path / "two-1.0-0.conda"], made["token"])
    assert refused.returncode != 0  # it may read only


@ONE_BACKEND
def test_the_credential_files_that_the_readme_shows(site: Site, reader: Reader) -> None:
    """The one of pixi and rattler-build opens a private channel; the one of mamba says the same in mamba's words."""
    token = token_of(site, session_of(site))
    text = (Path(__file__).parents[2] / "README.md").read_text()
    rattler, mamba = (json.loads(found) for found in re.findall(r"`(\{\"localhost.*?\}\})`", text))
    assert rattler == {"localhost": {"CondaToken": "TOKEN"}}
    assert mamba == {"localhost:8080": {"type": "CondaToken", "token": "TOKEN"}}
    shown = {kind: value.replace("TOKEN", token) for kind, value in rattler["localhost"].items()}
    assert reader.install("mine", shown, None).ok


@ONE_BACKEND
def test_what_the_client_says_where_it_may_not_read(site: Site, reader: Reader) -> None:
    """The answers of docs/decisions/0003; nothing tells a hidden channel from one that is not there."""
    token = token_of(site, session_of(site))
    for channel in ("secret", "nowhere"):
        for shards in (True, False):
            anonymous = reader.install(channel, None, shards)
            wrong = reader.install(channel, {"CondaToken": "0" * 48}, shards)
            known = reader.install(channel, {"CondaToken": token}, shards)
            assert "401" in anonymous.error and "401" in wrong.error
            assert "404" in known.error and "could not find subdir 'noarch'" in known.error
            assert not any(token in result.error for result in (anonymous, wrong, known))
