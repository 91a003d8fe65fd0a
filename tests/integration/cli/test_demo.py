"""`packhouse demo` as a user sees it, mostly with an upstream smaller than the one it makes: ready only when it is."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import urllib3

from packhouse.cli.demo import command
from packhouse.cli.demo.channel import write_channel
from packhouse.cli.demo.condafile import CondaPackage, Member
from tests.kit.commands import run, serving

INDEX = {"version": "1", "build": "0", "build_number": 0, "depends": [], "timestamp": 0, "subdir": "noarch"}


def upstream(data: Path) -> Path:
    """Make the upstream's folder, with two packages."""
    packages = [CondaPackage(INDEX | {"name": name}, {}, [Member(f"share/{name}", b"x")]) for name in ("tea", "milk")]
    write_channel(data / "demo-upstream", packages, lambda _: None)
    return data / "demo-upstream"


def test_the_first_command_makes_a_channel_to_install_from(tmp_path: Path) -> None:
    with serving(tmp_path, "demo", "--port", "0", line="Stop the server with Ctrl-C") as (_, said):
        channel = re.search(r"conda create -n try --override-channels -c (\S+) python rich", said)
        assert channel is not None, said
        count = re.search(r"is ready: (\d+) packages", said)
        files: dict[str, dict[str, Any]] = {}
        for subdir in urllib3.request("GET", f"{channel[1]}/channeldata.json", retries=False).json()["subdirs"]:
            found = urllib3.request("GET", f"{channel[1]}/{subdir}/repodata.json", retries=False).json()
            files |= {f"{subdir}/{file}": record for file, record in found["packages.conda"].items()}
        assert {"python", "rich"} <= {record["name"] for record in files.values()}, "what it says to install is there"
        assert count is not None and len(files) == int(count[1])
        path, record = next(item for item in files.items() if item[1]["name"] == "rich")
        got = urllib3.request("GET", f"{channel[1]}/{path}", retries=False)
        assert (got.status, hashlib.sha256(got.data).hexdigest()) == (200, record["sha256"])
    assert (tmp_path / "packhouse-demo").is_dir()


def test_a_demo_has_no_feeds_that_are_on_the_network(tmp_path: Path) -> None:
    upstream(tmp_path / "demo")
    with serving(tmp_path, "demo", "--port", "0", "--data", "demo", line="is ready: 2 packages") as (url, _):
        auth = urllib3.make_headers(basic_auth=f"admin:{(tmp_path / 'demo' / 'demo-password').read_text()}")
        answer = urllib3.request("GET", f"{url}/api/feeds", headers=auth, retries=False)
        assert (answer.status, answer.json()) == (200, {"items": [], "total_count": 0})


def test_a_demo_that_was_interrupted_is_ready_the_next_time(tmp_path: Path) -> None:
    made = upstream(tmp_path / "demo")
    words = ("demo", "--port", "0", "--data", "demo")
    with serving(tmp_path, *words) as (_, said):
        assert "Traceback" not in said
    with serving(tmp_path, *words, line="is ready: 2 packages") as (url, said):
        assert f"-c {url}/api/repo/demo " in said
        found = urllib3.request("GET", f"{url}/api/repo/demo/noarch/repodata.json", retries=False).json()
        assert sorted(found["packages.conda"]) == ["milk-1-0.conda", "tea-1-0.conda"]
    (other,) = run(tmp_path, words, env={"PACKHOUSE_ADMIN_PASSWORD": "another password"})
    logged, told = other.err.splitlines()
    assert other.code == 2 and "password refused" in logged, other.err
    assert "another password than the one from the environment variable PACKHOUSE_ADMIN_PASSWORD" in told
    assert "is ready" not in other.out

    shutil.copytree(tmp_path / "demo", tmp_path / "moved")  # its mirror names the old folder, which goes
    shutil.rmtree(made)
    with serving(tmp_path, "demo", "--port", "0", "--data", "moved", line="is ready: 2 packages") as (_, said):
        assert "Traceback" not in said


def test_a_real_installation_is_not_made_a_demo(tmp_path: Path) -> None:
    words = ("demo", "--port", "0", "--data", "real")
    with serving(tmp_path, "serve", "--port", "0", "--no-worker", "--data", "real"):
        pass
    (unknown,) = run(tmp_path, words)
    assert (unknown.code, unknown.out, unknown.err.count("\n")) == (2, "", 1), unknown.err
    assert "was made by no demo" in unknown.err and "packhouse serve --data" in unknown.err
    (wrong,) = run(tmp_path, words, env={"PACKHOUSE_ADMIN_PASSWORD": "another password"})
    assert wrong.code == 2 and "has another password" in wrong.err
    assert not list((tmp_path / "real").glob("demo-*"))


def test_a_demo_whose_mirror_fails_says_so_and_ends(tmp_path: Path) -> None:
    folder = upstream(tmp_path / "demo")
    for index in folder.glob("*/repodata.json*"):
        index.write_bytes(b"{")
    (end,) = run(tmp_path, ("demo", "--port", "0", "--data", "demo"))
    assert end.code == 2 and "is ready" not in end.out
    assert "The demo's mirror has not completed; it is failed: " in end.err and "Traceback" not in end.err


def test_an_upstream_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def build(folder: Path, progress: object) -> None:
        folder.mkdir(parents=True)
        built.append(folder)
        if len(built) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "build_upstream", build)
    with pytest.raises(KeyboardInterrupt):
        command._upstream(tmp_path / "demo")
    assert not (tmp_path / "demo" / "demo-upstream").exists()
    for _ in range(2):  # made once
        assert command._upstream(tmp_path / "demo").is_dir()
    assert len(built) == 2
