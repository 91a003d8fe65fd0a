"""The main job, end to end: a real channel is mirrored, a real client builds an environment from us and runs it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Backend
from tests.kit.mirroring import CondaSource
from tests.kit.rattler_client import solve_and_install
from tests.kit.realchannel import build_real_channel
from tests.kit.server import site_on

SPECS = ["python", "flask", "requests", "rich"]


class Recording(SimpleHTTPRequestHandler):
    """Serves a folder and remembers which paths were asked for."""

    def __init__(self, *given: Any, asked: list[str], **more: Any) -> None:
        self._asked = asked
        super().__init__(*given, **more)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._asked.append(self.path)
        super().do_GET()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A channel of real packages behind an ordinary HTTP server: its address, and what was asked of it."""
    folder = build_real_channel(tmp_path / "upstream")
    asked: list[str] = []
    handler = partial(Recording, asked=asked, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_an_environment_is_built_and_runs(
    backend: Backend, upstream: tuple[str, list[str]], mode: str, tmp_path: Path
) -> None:
    source, asked = upstream
    with site_on(backend) as site:
        site.mirror("team", source, mirror_mode=mode)
        packages = [path for path in asked if path.endswith(".conda")]
        assert bool(packages) == (mode == "active")
        for shards in (True, False):
            prefix = tmp_path / f"env-{shards}"
            cache = tmp_path / f"cache-{shards}"
            done = solve_and_install(f"{site.url}/api/repo/team", SPECS, prefix, shards=shards, cache_dir=cache)
            assert done.ok, done.error
            assert set(SPECS) <= set(done.installed)
            said = subprocess.run([prefix / "bin" / "flask", "--version"], capture_output=True, text=True, check=True)
            assert done.installed["flask"] in said.stdout
        fetched = [path for path in asked if path.endswith(".conda")]
        assert len(fetched) == len(set(fetched))  # each file once, however many installations
        counts = site.call("GET", "/api/channels/team")
        assert counts["artifact_count"] >= len(SPECS)
    verify = [sys.executable, "-m", "packhouse", "verify", "--deep"]
    found = subprocess.run(verify, env=site.env, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_packhouse_mirrors_a_private_channel_of_another(backend: Backend, tmp_path: Path) -> None:
    folder = build_real_channel(tmp_path / "upstream")
    with site_on(backend) as first:
        first.mirror("source", folder.as_uri(), mirror_mode="active")
        first.call("PUT", "/api/channels/source", {"privacy": "private"})
        made = first.call(
            "POST",
            "/api/account/tokens",
            {"name": "for the other", "scopes": ["channel:view-artifacts", "artifact:download", "channel:view"]},
        )
        second_data = tmp_path / "second"
        second_data.mkdir()
        other = Backend(
            "second", f"sqlite:///{second_data}/packhouse.db", f"file://{second_data}/blobs",
            {"PACKHOUSE_DATA_DIR": str(second_data)}, second_data,
        )  # fmt: skip
        with site_on(other) as second:
            second.mirror(
                "copy", f"{first.url}/api/repo/source", mirror_mode="passive", credential={"token": made["token"]}
            )
            done = solve_and_install(
                f"{second.url}/api/repo/copy", ["rich"], tmp_path / "env", cache_dir=tmp_path / "cache"
            )
            assert done.ok, done.error
            assert made["token"] not in second.request("GET", "/api/mirrors").data.decode()
            assert made["token"].encode() not in second.log.read_bytes()


@pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
@pytest.mark.parametrize("shards", [True, False])
def test_a_record_that_names_another_place_is_fetched_from_its_own(
    backend: Backend, shards: bool, tmp_path: Path
) -> None:
    source = CondaSource()
    source.add("odd", fn="../other-2.0-0.conda", subdir="noarch")
    source.records["noarch"]["odd-1.0-0.conda"]["subdir"] = "win-64"
    for path, data in source.files().items():
        (tmp_path / "upstream" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "upstream" / path).write_bytes(data)
    with site_on(backend) as site:
        site.mirror("team", (tmp_path / "upstream").as_uri(), mirror_mode="passive")
        channel = f"{site.url}/api/repo/team"
        done = solve_and_install(channel, ["odd"], tmp_path / "env", shards=shards, cache_dir=tmp_path / "cache")
        assert done.installed == {"odd": "1.0"}, done.error
        assert (tmp_path / "env" / "conda-meta" / "odd-1.0-0.json").exists()
        [file] = site.call("GET", "/api/channels/team/artifacts/conda/odd/files")["items"]
        record = file["metadata"]["repodata_record.json"]
        assert (file["ckey"], record["fn"], record["subdir"]) == ("noarch/odd-1.0-0.conda", "odd-1.0-0.conda", "noarch")
        index = site.request("GET", "/api/repo/team/noarch/repodata.json").data
        assert (
            b"../other-2.0-0.conda" in index and b"win-64" in index
        )  # as its upstream, and perhaps a signature, has it
