"""Every bench still runs, on a tiny size; what it measures means nothing here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHES
from bench.kit.report import Line, table

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BENCHES)
def test_bench_prints_a_figure_for_each_kind_of_work(name: str) -> None:
    if name in ("download", "listing", "judging") and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed; install it with: apt-get install wrk")
    command = [sys.executable, "-m", "bench", name, "--size", "small", "--only-sqlite", "--no-peers"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line][2:]
    assert rows, done.stdout
    assert [row for row in rows if row[1] == "-"] == []


def test_ratio_says_how_many_times_better_we_are() -> None:
    faster = Line("time", "ms", ours={"here": 2.0}, peers={"slow": 50.0, "quick": 10.0})
    slower = Line("rate", "/s", ours={"here": 100.0}, peers={"slow": 50.0, "quick": 400.0})
    assert (faster.ratio("here"), slower.ratio("here")) == (5.0, 0.25)
    assert Line("alone", "s", ours={"here": 1.0}).ratio("here") is None
    assert "| time | 2 ms | slow 50 ms, quick 10 ms | 5 x | - |" in table([faster], ["here"])
