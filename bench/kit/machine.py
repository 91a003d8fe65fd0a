"""The machine in neutral words: what somebody needs to read the figures, and nothing that names it."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from pathlib import Path


def describe() -> str:
    """Return a heading and a line about cores, memory, versions and the day."""
    memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    model = next((line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), "")
    day = datetime.now(UTC).date().isoformat()
    return f"""# Results

{day} · {os.cpu_count()} cores ({model or platform.machine()}), {memory} GiB, {platform.system()} ·
CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version} · fsync on everywhere · load and server on the
same cores. The ratio is of SQLite + folder and the best peer. Made by `python -m bench`; see the README beside.
"""


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
