"""pip, uv and twine as users run them, and apart from whatever is configured on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Said:
    """How a client ended, and all it printed."""

    code: int
    text: str


def _run(folder: Path, *command: str | Path, **env: str) -> Said:
    mixed = ("PIP_", "UV_", "TWINE_", "PYTHONPATH", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(mixed)}
    process = subprocess.run(
        [str(word) for word in command],
        env={**plain, "PIP_CONFIG_FILE": os.devnull, "HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "300", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Said(process.returncode, process.stdout + process.stderr)


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def pip(folder: Path, index: str, *words: str) -> Said:
    """Install into `folder/pip` with pip, from one index and nowhere else."""
    options = ("--isolated", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0")
    target = ("--target", folder / "pip", "--upgrade", "--index-url", index)
    return _run(folder, sys.executable, "-m", "pip", "install", *options, *target, *words)


def uv(folder: Path, index: str, *words: str) -> Said:
    """Install into `folder/uv` with uv, from one index and nowhere else."""
    options = ("--no-config", "--no-cache")
    command = ("pip", "install", "--python", sys.executable, "--target", folder / "uv", "--default-index", index)
    return _run(folder, _tool("uv"), *command, *options, *words, UV_HTTP_TIMEOUT="120", UV_HTTP_RETRIES="0")


def twine(folder: Path, url: str, token: str, *files: Path) -> Said:
    """Upload with twine as its users are told to."""
    options = (
        "--non-interactive",
        "--disable-progress-bar",
        "--repository-url",
        url,
        "-u",
        token,
        "-p",
        "x-auth-token",
    )
    return _run(folder, sys.executable, "-m", "twine", "upload", *options, *files)


def uv_publish(folder: Path, url: str, token: str, *files: Path) -> Said:
    """Upload with uv."""
    return _run(folder, _tool("uv"), "publish", "--no-config", "--publish-url", url, "--token", token, *files)
