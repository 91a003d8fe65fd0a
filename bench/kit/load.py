"""Load from wrk, which shares the machine's cores with the server, as every figure here does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.kit.context import Missing

CONNECTIONS = 16


class Load(NamedTuple):
    """What wrk saw."""

    per_second: float
    p50_ms: float
    p99_ms: float


def wrk(port: int, paths: list[str], headers: dict[str, str], seconds: float, folder: Path) -> Load:
    """Ask for the paths in turn from 16 connections; raises RuntimeError when an answer is an error."""
    program = shutil.which("wrk")
    if program is None:
        raise Missing("wrk is not installed: apt-get install wrk")
    script = folder / "wrk.lua"
    script.write_text(_script(paths, headers))
    command = [
        program,
        "-t2",
        f"-c{CONNECTIONS}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "60s",
        "--latency",
        "-s",
        str(script),
    ]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if rate is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{paths[0]}:\n{done.stdout}{done.stderr}")
    return Load(float(rate[1]), _latency(done.stdout, 50), _latency(done.stdout, 99))


def _script(paths: list[str], headers: dict[str, str]) -> str:
    """Requests are made before the clock starts. No look at answers: wrk would hand each body to Lua."""
    names = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
    listed = ", ".join(f'"{path}"' for path in paths)
    return f"""
{names}
local requests, at = {{}}, 0
function init(args)
 for _, path in ipairs({{{listed}}}) do table.insert(requests, wrk.format("GET", path)) end
end
function request() at = at % #requests + 1; return requests[at] end
"""


def _latency(text: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)\s*$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(text)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
