"""`scripts/test` runs everything: a folder of tests it does not name would never run in CI."""

from __future__ import annotations

import subprocess
import sys

from tests.unit.house.sources import ROOT


def test_every_folder_of_tests_is_a_stage() -> None:
    command = (ROOT / "scripts" / "test").read_text()
    (stages,) = (line for line in command.splitlines() if line.startswith("for folder in "))
    named = {*stages.partition(";")[0].split()[3:], "crash"}
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders - named == set()


def test_full_counts_run_only_when_asked_for() -> None:
    def chosen(*arguments: str) -> str:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--collect-only",
            *arguments,
            "tests/crash/test_many_writers.py",
        ]
        return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True).stdout

    assert "-8-25]" in chosen() and "-32-100]" not in chosen()
    assert "-32-100]" in chosen("-m", "full")
