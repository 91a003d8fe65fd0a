"""The test kit's channel and client really work: an environment is solved, installed and runs Flask."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.kit.rattler_client import solve_and_install
from tests.kit.realchannel import build_real_channel

SPECS = ["python", "flask", "requests", "rich"]


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    asked: list[str] = []

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(self.path)


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = build_real_channel(tmp_path_factory.mktemp("channel"))
    handler = functools.partial(_Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def run(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_environment_is_installed_and_its_programs_run(channel: str, tmp_path: Path) -> None:
    prefix = tmp_path / "environment"
    result = solve_and_install(channel, SPECS, prefix, cache_dir=tmp_path / "cache")
    assert result.ok, result.error
    assert result.installed.items() >= {"flask": "3.1.3", "requests": "2.34.2", "rich": "15.0.0"}.items()
    assert "Flask 3.1.3" in run(prefix / "bin/flask", "--version")
    script = "import json, sys, requests, markupsafe._speedups as m; print(json.dumps([sys.prefix, m.__file__]))"
    home, speedups = json.loads(run(prefix / "bin/python", "-c", script))
    assert Path(home) == prefix
    assert Path(speedups).is_relative_to(prefix)


@pytest.mark.parametrize(("shards", "asked"), [(True, "/repodata_shards.msgpack.zst"), (False, "/repodata.json.zst")])
def test_the_caller_chooses_the_encoding_of_the_index(channel: str, tmp_path: Path, shards: bool, asked: str) -> None:
    _Handler.asked.clear()
    assert solve_and_install(channel, ["rich"], None, shards=shards, cache_dir=tmp_path).ok
    assert ("/noarch" + asked) in _Handler.asked
    assert any("shards" in path for path in _Handler.asked) is shards


def test_what_the_client_says_comes_back_as_an_error(channel: str, tmp_path: Path) -> None:
    result = solve_and_install(channel, ["flask >=99"], tmp_path / "environment", cache_dir=tmp_path / "cache")
    assert not result.ok
    assert result.stage == "solve"
    assert "flask" in result.error
    assert not (tmp_path / "environment").exists()
