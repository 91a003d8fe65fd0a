"""`packhouse` as users run it: one command to its end, several at once, or a server until it says that it serves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.kit.processes import start, stop, wait_until

_SERVES = re.compile(r"Packhouse serves (https?://\S+)/")


class Ended:
    """How a command ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.out, self.err = process.communicate(timeout=180)
        self.code = process.returncode


def run(cwd: Path, *commands: tuple[str, ...], env: Mapping[str, str] | None = None) -> list[Ended]:
    """Run commands side by side in `cwd` (most of the time of a short one is its imports) and wait for their ends."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "packhouse", *words], cwd=cwd, env=plain_environment() | dict(env or {}),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for words in commands
    ]  # fmt: skip
    return [Ended(process) for process in started]


@contextmanager
def serving(cwd: Path, *words: str, line: str = "Packhouse serves", **env: str) -> Iterator[tuple[str, str]]:
    """Run a command that serves, for the time of the block; yields its base URL and what it has said so far.

    It has said `line` by then.
    """
    log = cwd / "command.log"
    log.unlink(missing_ok=True)
    process = start([sys.executable, "-m", "packhouse", *words], log=log, env=plain_environment() | env)
    try:
        wait_until(lambda: line in log.read_text(), process, log)
        said = log.read_text()
        found = _SERVES.search(said)
        assert found is not None, said
        yield found[1], said
    finally:
        stop(process)


def plain_environment() -> dict[str, str]:
    """Return ours without settings of another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PACKHOUSE_")}
