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

    def __init__(self, home: Path, url: str, ca: Path) -> None:
        self._home, self._program = home, environment() / "bin" / "anaconda"
        (home / ".anaconda").mkdir(parents=True)
        (home / ".anaconda" / "config.toml").write_text(
            f'default_site = "here"\n[sites."here"]\ndomain = "{url.removeprefix("https://")}"\nssl_verify = "{ca}"\n'
        )

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

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [str(self._program), "--at", "here", *words]

    def _env(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
        return {
            **plain,
            "HOME": str(self._home),
            "OTEL_SDK_DISABLED": "true",
            "BROWSER": "/bin/true",
            "COLUMNS": "300",
            "NO_COLOR": "1",
        }


class Login:
    """A login under way: it asks the server every few seconds whether somebody approved its code."""

    def __init__(self, log: Path, command: list[str], env: dict[str, str]) -> None:
        log.unlink(missing_ok=True)
        self._log = log
        self._process = start(command, log=log, env=env)
        wait_until(lambda: _CODE.search(log.read_text()) is not None, self._process, log)
        found = _CODE.search(log.read_text())
        assert found is not None
        self.code = found[0]

    def finish(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and all it said."""
        try:
            return self._process.wait(60), self._log.read_text()
        finally:
            stop(self._process)
