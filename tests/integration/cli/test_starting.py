"""Starting and refusing to start: what an administrator sees of `packhouse` before the first request."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import urllib3

from packhouse import __version__
from packhouse.app import prepare
from packhouse.cli import running
from packhouse.cli.address import claim
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings, load
from tests.kit.commands import run, serving
from tests.kit.services import Postgres


def test_a_start_that_fails_says_why_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "typo").mkdir()
    (tmp_path / "typo" / "packhouse.toml").write_text("prot = 1")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as another Packhouse listens
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        cases = {
            (
                "--port",
                str(taken),
            ): f"127.0.0.1 port {taken} (`host`, its default; `port`, from the option --port) is in",
            ("--port", "99999"): "`port`, from the option --port, cannot be used (99999)",
            ("--port", "0", "--host", "no.such.invalid"): "`host`, from the option --host",
            ("--port", "0", "--host", "192.0.2.1"): "is not of this machine",
            (
                "--port",
                "0",
                "--data",
                "file",
            ): "/file (`data_dir`, from the option --data) cannot be used: it is a file",
            ("--port", "0", "--data", "file/below"): "/file/below (`data_dir`, from the option --data) cannot be used",
            ("--port", "0", "--data", "typo"): "`prot`, which is no setting. Did you mean port?",
        }
        ends = run(tmp_path, *[("serve", *words) for words in cases])
    for (words, said), end in zip(cases.items(), ends, strict=True):
        assert (end.code, end.out, end.err.count("\n")) == (2, "", 1), (words, end.err)
        assert said in end.err
    assert {path.name for path in tmp_path.iterdir()} == {"file", "typo"}  # nothing was prepared


def test_a_demo_in_a_place_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (end,) = run(tmp_path, ("demo", "--port", "0", "--data", "file/below"))
    assert (end.code, end.out, end.err.count("\n")) == (2, "", 1), end.err
    assert "/file/below (`data_dir`, from the option --data) cannot be used" in end.err


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://user:hush@127.0.0.1:1/packhouse"
    serve, worker = run(tmp_path, ("serve", "--port", "0"), ("worker",), env={"PACKHOUSE_DATABASE_URL": url})
    for end in (serve, worker):
        assert (end.code, end.err.count("\n")) == (2, 1), end.err
        assert "Connection refused" in end.err
        assert "`database_url`, from the environment variable PACKHOUSE_DATABASE_URL" in end.err
        assert "hush" not in end.err


def test_only_a_server_makes_an_installation(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    commands = [("verify", "--data", "x"), ("repair", "--data", "x"), ("sweep", "--data", "empty"), ("worker",)]
    for end in run(tmp_path, *commands):
        assert end.code == 2 and "There is no Packhouse in" in end.err and "packhouse serve --data" in end.err
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


def test_an_empty_database_of_a_server_is_none_either(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.url(postgres.database())
    for end in run(tmp_path, ("worker",), ("verify",), env={"PACKHOUSE_DATABASE_URL": url}):
        assert end.code == 2
        assert "no Packhouse in `database_url`, from the environment variable PACKHOUSE_DATABASE_URL" in end.err
    assert list(tmp_path.iterdir()) == []


def test_a_first_password_that_is_too_short_is_named(tmp_path: Path) -> None:
    (end,) = run(tmp_path, ("serve", "--port", "0"), env={"PACKHOUSE_ADMIN_PASSWORD": "abc"})
    assert (end.code, end.err.count("\n")) == (2, 1), end.err
    assert "`admin_password`, from the environment variable PACKHOUSE_ADMIN_PASSWORD" in end.err


def test_a_server_says_its_address_when_it_answers_and_keeps_its_data_to_itself(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir(mode=0o755)
    words = ("serve", "--port", "0", "--host", "0.0.0.0", "--no-worker")
    with serving(tmp_path, *words, "--data", "new", PACKHOUSE_PROT="1") as (url, said):
        assert url.startswith("http://127.0.0.1:") and socket.gethostname() in said
        assert urllib3.request("GET", f"{url}/api/system", retries=False).status == 200
        assert said.count("PACKHOUSE_PROT sets nothing. Did you mean PACKHOUSE_PORT?") == 1
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
        assert tmp_path / "new" / "packhouse.db" in modes
        assert {mode & 0o077 for mode in modes.values()} == {0}
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    (end,) = run(tmp_path, ("verify", "--data", "new"))
    assert (end.code, end.err) == (0, "")
    with serving(tmp_path, *words, "--data", "wide"):
        assert stat.S_IMODE((tmp_path / "wide").stat().st_mode) == 0o755
        assert stat.S_IMODE((tmp_path / "wide" / "packhouse.db").stat().st_mode) == 0o600


def test_a_worker_that_is_being_started_anew_is_ended_with_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RESTART_SECONDS", 0.0)
    begun, processes, popen = threading.Event(), list[subprocess.Popen[bytes]](), subprocess.Popen

    def slow(*words: Any, **more: Any) -> subprocess.Popen[bytes]:
        if processes:
            begun.set()
            time.sleep(0.3)
        processes.append(popen(*words, **more))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", slow)
    beside = running.Beside(["sleep", "600"])
    processes[0].kill()
    assert begun.wait(60)
    beside.stop()
    try:
        assert [process.poll() for process in processes] == [-signal.SIGKILL, -signal.SIGTERM]
    finally:
        processes[-1].kill()


LOADING_FOR_EVER = """
import os, sys, threading
from pathlib import Path
from packhouse import app
from packhouse.cli import running
from packhouse.cli.address import claim
from packhouse.core.settings import load

def load_for_ever():
    os.write(1, b"loading\\n")
    while True:
        threading.Event().wait(1)

app.create_from_environment = load_for_ever
running._load_server = lambda: None
running._prepared = lambda settings: None
settings = load({}, data_dir=Path(sys.argv[1]), port=0)
running.serve(settings, claim(settings), worker=False)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_end_while_it_still_loads_ends(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", LOADING_FOR_EVER, str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"loading\n"
        process.send_signal(number)
        assert process.wait(60) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def killed(settings: Settings) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_start_whose_preparation_is_killed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load({}, data_dir=tmp_path, port=0)
    monkeypatch.setattr(running, "_prepare", killed)  # what the process of its own runs
    with pytest.raises(PackhouseError, match="prepares the installation was killed"):
        running.serve(settings, claim(settings))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every file")
def test_a_database_that_cannot_be_written_is_named_with_its_rights(tmp_path: Path) -> None:
    asyncio.run(prepare(load({}, data_dir=tmp_path)))
    (tmp_path / "packhouse.db").chmod(0o400)
    (end,) = run(tmp_path, ("serve", "--port", "0", "--data", "."))
    assert (end.code, end.err.count("\n")) == (2, 1), end.err
    assert f"{tmp_path / 'packhouse.db'} (-r--------) cannot be written" in end.err


def test_the_version(tmp_path: Path) -> None:
    (end,) = run(tmp_path, ("--version",))
    assert (end.code, end.out) == (0, f"packhouse {__version__}\n")


async def test_an_issuer_that_is_asked_without_tls_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    issuers = (
        "http://id.example.org/a", "http://10.0.0.7:8080/b", "https://id.example.org/c", "http://localhost:8080/d",
        "http://127.0.0.1/e", "http://[::1]:8080/f",
    )  # fmt: skip
    (tmp_path / "identity.toml").write_text(
        "".join(
            f'[[provider]]\nkind = "oidc"\nname = "{issuer[-1]}"\nissuer = "{issuer}"\nclient_id = "x"\n'
            for issuer in issuers
        )
    )
    await prepare(load({}, data_dir=tmp_path))
    said = [record.getMessage() for record in caplog.records if "without TLS" in record.getMessage()]
    assert [line.split(" is asked")[0] for line in said] == ["The provider 'a'", "The provider 'b'"]
