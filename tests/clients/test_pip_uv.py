"""Real pip, uv and twine: uploads, installs from uploads and from a lazy upstream, and what they say when refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.python_clients import Said, pip, twine, uv, uv_publish
from tests.kit.pythonindex import PythonSource, wheel_of
from tests.kit.server import Site, site_on
from tests.kit.upstream import Upstream

pytestmark = pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
INSTALLERS = pytest.mark.parametrize("install", [pip, uv], ids=["pip", "uv"])
Install = Callable[..., Said]


@pytest.fixture
def site(backend: Backend) -> Iterator[Site]:
    """A server with one private channel, `team`."""
    with site_on(backend) as running:
        running.call("POST", "/api/channels", {"name": "team", "privacy": "private"})
        yield running


def token_of(site: Site) -> str:
    """Make a token that may read and upload."""
    scopes = ["channel:view", "channel:view-artifacts", "artifact:download", "artifact:create"]
    body = {"name": "client", "expires_at": "2099-01-01", "scopes": scopes}
    return str(site.call("POST", "/api/account/tokens", body)["token"])


def index_of(site: Site, channel: str, token: str) -> str:
    """Return the index's address with the credential as users write it."""
    return f"{site.url.replace('://', f'://{token}:x-auth-token@')}/api/repo/{channel}/simple"


def written(folder: Path, name: str, version: str = "1.0", needs: tuple[str, ...] = ()) -> Path:
    """Write a wheel and return where it is."""
    filename, content = wheel_of(name, version, needs)
    folder.mkdir(exist_ok=True)
    (folder / filename).write_bytes(content)
    return folder / filename


def installed(folder: Path, install: Install, module: str) -> str:
    """Return what an installed module says of itself."""
    return (folder / install.__name__ / module / "__init__.py").read_text()


def test_a_token_for_one_channel_uploads_and_installs_there_only(site: Site, tmp_path: Path) -> None:
    site.call("POST", "/api/channels", {"name": "other", "privacy": "private"})
    resource = {"resource_type": "channel", "resource_id": "team", "permission": "write"}
    token = site.call("POST", "/api/account/tokens", {"name": "ci", "resources": [resource]})["token"]
    wheel = written(tmp_path / "w", "acme-tea")
    for channel, ok in (("team", True), ("other", False)):
        assert (twine(tmp_path, f"{site.url}/api/repo/{channel}", token, wheel).code == 0) is ok
        assert (pip(tmp_path / channel, index_of(site, channel, token), "acme-tea").code == 0) is ok


def test_what_twine_and_uv_upload_pip_and_uv_install(site: Site, tmp_path: Path) -> None:
    token = token_of(site)
    for slash, upload, wheel in (
        ("", twine, written(tmp_path / "w", "Acme-Tea", "1.0", ("acme-pot>=2",))),
        ("/", twine, written(tmp_path / "w", "acme-pot", "1.0")),
        ("", uv_publish, written(tmp_path / "w", "acme-pot", "2.1")),
    ):
        done = upload(tmp_path, f"{site.url}/api/repo/team{slash}", token, wheel)
        assert done.code == 0, done.text
    for install in (pip, uv):
        done = install(tmp_path, index_of(site, "team", token), "acme.tea")
        assert done.code == 0, done.text
        assert "2.1" in installed(tmp_path, install, "acme_pot") and "1.0" in installed(tmp_path, install, "Acme_Tea")
    again = twine(tmp_path, f"{site.url}/api/repo/team", token, tmp_path / "w" / "acme_pot-1.0-py3-none-any.whl")
    assert again.code == 0, again.text
    other = tmp_path / "other"
    other.mkdir()
    changed = other / "acme_pot-1.0-py3-none-any.whl"
    changed.write_bytes(wheel_of("acme-pot", "1.0", ("more",))[1])
    refused = twine(tmp_path, f"{site.url}/api/repo/team", token, changed)
    assert refused.code != 0 and "409" in refused.text, refused.text
    wrong = twine(tmp_path, f"{site.url}/api/repo/team", "0" * 48, changed)
    assert wrong.code != 0 and "401" in wrong.text, wrong.text


@INSTALLERS
async def test_a_lazy_upstream_is_asked_for_what_is_wanted_and_no_more(
    site: Site, tmp_path: Path, install: Install
) -> None:
    source = PythonSource()
    source.add("tea", "1.0", ("pot>=1",))
    source.add("tea", "2.0", ("pot>=1", "sugar; extra == 'sweet'"))
    source.add("pot", "1.5")
    source.add("sugar")
    async with Upstream() as up:
        source.put_on(up)
        await asyncio.to_thread(lazy_channel, site, up)
        index = f"{site.url}/api/repo/lazy/simple"
        done = await asyncio.to_thread(install, tmp_path, index, "tea")
        assert done.code == 0, done.text
        assert "2.0" in installed(tmp_path, install, "tea") and "1.5" in installed(tmp_path, install, "pot")
        asked = {request.path for request in up.requests}
        assert {"simple/tea/", "simple/pot/", "simple/tea/tea-2.0-py3-none-any.whl"} <= asked
        assert not {path for path in asked if "tea-1.0" in path or "sugar" in path}, "nobody wanted these"
    done = await asyncio.to_thread(
        install, tmp_path, index, "--force-reinstall" if install is pip else "--reinstall", "tea"
    )
    assert done.code == 0, "the upstream is gone, what was wanted before is here" + done.text
    done = await asyncio.to_thread(install, tmp_path, index, "sugar")
    assert done.code != 0 and (install is pip or "502" in done.text), done.text  # pip takes it for an empty index


def lazy_channel(site: Site, up: Upstream) -> None:
    """Make a public channel that asks an upstream."""
    site.call("POST", "/api/channels", {"name": "lazy", "privacy": "public"})
    body = {"mirror_name": "up", "source_root": f"{up.url}/simple", "mirror_type": "python_simple"}
    site.call("POST", "/api/channels/lazy/mirrors", body)


def until_hidden(site: Site, page: str, file: str) -> None:
    """Wait until a file is held back: by the gate, which obeys first, and by the page, which follows."""
    deadline = time.monotonic() + 90
    while site.request("GET", page + file).status != 403 or file.encode() in site.request("GET", page).data:
        assert time.monotonic() < deadline, file
        time.sleep(0.05)


@INSTALLERS
def test_a_hidden_file_is_gone_from_the_index_and_refused_by_its_address(
    site: Site, tmp_path: Path, install: Install
) -> None:
    token = token_of(site)
    for version in ("1.0", "2.0"):
        wheel = written(tmp_path / "w", "tea", version)
        assert twine(tmp_path, f"{site.url}/api/repo/team", token, wheel).code == 0
    body = {
        "reason": "It phones home.",
        "channel": "team",
        "ckey": "simple/tea-2.0-py3-none-any.whl",
        "family": "python",
    }
    site.call("POST", "/api/quarantine", body)
    until_hidden(site, "/api/repo/team/simple/tea/", "tea-2.0-py3-none-any.whl")
    index = index_of(site, "team", token)
    direct = f"{index}/tea/tea-2.0-py3-none-any.whl"
    refused = install(tmp_path, index, f"tea @ {direct}")
    assert refused.code != 0 and "403" in refused.text, refused.text
    assert ("quarantine" in refused.text) == (install is uv), "pip shows no more than the status: " + refused.text
    answer = site.request("GET", "/api/repo/team/simple/tea/tea-2.0-py3-none-any.whl")
    assert answer.status == 403 and "quarantine" in json.loads(answer.data)["detail"], answer.data
    assert site.request("GET", "/api/repo/team/simple/tea/tea-2.0-py3-none-any.whl.metadata").status == 403
    done = install(tmp_path, index, "tea")
    assert done.code == 0 and "1.0" in installed(tmp_path, install, "tea"), done.text
    pinned = install(tmp_path, index, "tea==2.0")
    assert pinned.code != 0, pinned.text
