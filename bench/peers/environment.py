"""Python environments of peers: made once, outside the checkout, with the versions that are known to work together."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.kit.context import Missing, cache_folder


def environment(name: str, *requirements: str) -> Path:
    """Return the folder of programs of an environment with these requirements. Raises Missing saying what failed."""
    digest = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = cache_folder() / f"{name}-{digest}"
    done = folder / "installed"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(name, [sys.executable, "-m", "venv", str(folder)])
        _run(name, [str(folder / "bin" / "pip"), "install", "--quiet", *requirements])
        done.touch()
    return folder / "bin"


def _run(name: str, command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise Missing(f"{name} cannot be installed here: {result.stderr.strip().splitlines()[-1:]}")
