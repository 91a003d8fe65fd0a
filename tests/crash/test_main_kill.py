"""kill -9 of the first process only: what it started ends too, so that the next server finds its port and data free."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.kit.server import site_on

SECONDS = 60.0


def lives(pid: int) -> bool:
    """Tell whether a process still runs; one that ended may wait for its foster parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_nothing_outlives_the_first_process(backend: Backend) -> None:
    with site_on(backend, processes=2) as site:
        family = site.family()
        assert len(family) >= 4  # two servers, the worker, and what looks into archives
        os.kill(site.process.pid, signal.SIGKILL)
        site.process.wait(60)
        site.launch()  # at once, on the same port and data
        deadline = time.monotonic() + SECONDS
        while left := [pid for pid in family if lives(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        site.until_ready()
        assert site.call("GET", "/api/account")["username"] == "admin"  # the key of the credential is in the data
