"""The real `anaconda` command, in an environment of its own: it brings many packages along that are not ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kit.processes import start, stop, wait_until

REQUIREMENTS = ("anaconda-auth==0.15.3", "anaconda-cli-base==0.9.1")
_CODE = re.compile(r"[B-Z]{4}-[B-Z]{4}")


def environment() -> Path:
    """Return the environment's folder, made once for each user and set of versions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "packhouse-tests"
    folder = cache / "_".join(one.replace("==", "-") for one in REQUIREMENTS)
    if not (folder / "ready").exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "-q",
            *REQUIREMENTS,
        ]
        subprocess.run(pip, check=True, timeout=300)
        (folder / "ready").touch()
    return folder


class Anaconda:
    """The command of one person with a home of their own, who was told of one site and given its certificate."""

    def __init__(self, home: Path, url: str, ca: Path, port: int | None = None) -> None:
        """Log in by device flow, or with a `port` by a browser that comes back to it."""
        self._home, self._program = home, environment() / "bin" / "anaconda"
        (home / ".anaconda").mkdir(parents=True)
        site = f'domain = "{url.removeprefix("https://")}"\nssl_verify = "{ca}"\n'
        if port is not None:
            site += f'use_device_flow = false\nredirect_uri = "http://127.0.0.1:{port}/auth/oidc"\n'
        (home / ".anaconda" / "config.toml").write_text(f'default_site = "here"\n[sites."here"]\n{site}')
        self._browser = home / "browser"
        self._browser.write_text(
            f"#!/bin/sh\necho \"$1\" > '{self._opened}.new' && mv '{self._opened}.new' '{self._opened}'\n"
        )
        self._browser.chmod(0o755)

    def kept(self) -> dict[str, Any]:
        """Return the keys it keeps, by service and site."""
        keyring = self._home / ".anaconda" / "keyring"
        found: dict[str, Any] = json.loads(keyring.read_text() or "{}") if keyring.exists() else {}
        return found

    def run(self, *words: str) -> str:
        """Run a command to its end and return all it says; it must succeed."""
        end = subprocess.run(self._command(words), env=self._env(), capture_output=True, text=True, timeout=90)
        assert end.returncode == 0, end.stdout + end.stderr
        return end.stdout + end.stderr

    def login(self, *words: str) -> Login:
        """Begin to log in, and return when it shows its code."""
        return Login(self._home / "login.log", self._command(("login", *words)), self._env())

    def open_browser(self) -> BrowserLogin:
        """Begin to log in, and return when it has opened the person's browser."""
        return BrowserLogin(self._home / "login.log", self._opened, self._command(("login",)), self._env())

    @property
    def _opened(self) -> Path:
        return self._home / "opened"

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [str(self._program), "--at", "here", *words]

    def _env(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
        return {
            **plain,
            "HOME": str(self._home),
            "OTEL_SDK_DISABLED": "true",
            "BROWSER": str(self._browser),
            "COLUMNS": "300",
            "NO_COLOR": "1",
        }


class _Login:
    """A login under way."""

    def __init__(self, log: Path, command: list[str], env: dict[str, str]) -> None:
        log.unlink(missing_ok=True)
        self._log = log
        self._process = start(command, log=log, env=env)

    def finish(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and all it said."""
        try:
            return self._process.wait(60), self._log.read_text()
        finally:
            stop(self._process)


class Login(_Login):
    """It asks the server every few seconds whether somebody approved its code."""

    def __init__(self, log: Path, command: list[str], env: dict[str, str]) -> None:
        super().__init__(log, command, env)
        wait_until(lambda: _CODE.search(log.read_text()) is not None, self._process, log)
        found = _CODE.search(log.read_text())
        assert found is not None
        self.code = found[0]


class BrowserLogin(_Login):
    """It waits for the browser to come back."""

    def __init__(self, log: Path, opened: Path, command: list[str], env: dict[str, str]) -> None:
        super().__init__(log, command, env)
        wait_until(opened.exists, self._process, log)
        self.address = opened.read_text().strip()
