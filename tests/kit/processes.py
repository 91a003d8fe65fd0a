"""Child processes of tests: found on the machine, started in a group of their own, ended by their id."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_SECONDS = 180.0
_PR_SET_PDEATHSIG = 1
_PORTS = random.SystemRandom()  # test processes side by side choose others


def find_program(name: str, *folders: Path) -> Path | None:
    """Return the program from `folders`, then from PATH, or None."""
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return folder / name
    found = shutil.which(name)
    return Path(found) if found else None


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago.

    It is none of those that the system gives whoever connects: a server may end, and come back to its port.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", _PORTS.randrange(10_000, 32_000)))
            return int(probe.getsockname()[1])


def start(
    command: Sequence[str | Path], *, log: Path, user: str | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process group that writes to `log`; call it from the main thread. `env` replaces ours.

    On Linux it is killed with the thread that started it, so that a killed test run leaves nothing behind.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            cwd=log.parent,
            env=env,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `ready()`; raises RuntimeError with the log's end when the process dies or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args!r} did not start:\n{tail}")
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Tell whether something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """End the process and what it started; with SIGKILL if it does not go within half a minute."""
    if process.poll() is None:
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
