"""What pip does where it may not read: it asks for a credential only at 401, and never fails with a trace at ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.server import Site, site_on

pytestmark = pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)


@pytest.fixture
def site(backend: Backend) -> Iterator[Site]:
    """A server with a public and a private channel."""
    with site_on(backend, worker=False) as running:
        running.call("POST", "/api/channels", {"name": "pub", "privacy": "public"})
        running.call("POST", "/api/channels", {"name": "secret", "privacy": "private"})
        yield running


def download(site: Site, channel: str, folder: Path, *options: str, answer: str = "") -> tuple[int, str]:
    """Run `pip download flask` against a channel's index; return exit code and all it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    command = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--disable-pip-version-check", *options]
    process = subprocess.run(
        [*command, "--index-url", f"{site.url}/api/repo/{channel}/simple", "--dest", str(folder), "flask"],
        input=answer,
        env={**environment, "PIP_CONFIG_FILE": os.devnull, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return process.returncode, process.stdout + process.stderr


@pytest.mark.parametrize("channel", ["pub", "secret", "nowhere"])
def test_without_a_terminal_it_finds_nothing(site: Site, channel: str, tmp_path: Path) -> None:
    code, said = download(site, channel, tmp_path, "--no-input")
    assert code == 1 and "No matching distribution found for flask" in said
    assert "Traceback" not in said


def test_it_asks_who_we_are_where_we_may_not_read_and_only_there(site: Site, tmp_path: Path) -> None:
    for channel, asks in (("secret", True), ("nowhere", True), ("pub", False)):
        _, said = download(site, channel, tmp_path, answer="nobody\nwrong\nn\n")
        assert ("User for 127.0.0.1" in said) == asks, said
