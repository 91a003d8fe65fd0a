"""`scripts/test` runs everything: what it does not name, or skips for lack of a service, would never run in CI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

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


def test_ci_ends_at_once_and_names_what_is_missing(tmp_path: Path) -> None:
    for name in ("bash", "env", "dirname", "id", "mktemp", "rm", "ls", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name) or "/missing")
    ended = subprocess.run(
        ["bash", ROOT / "scripts" / "test"],
        env={"CI": "true", "PATH": str(tmp_path), "HOME": str(tmp_path), "PACKHOUSE_TEST_S3_BIN": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1 and 'FAILED in stage "services"' in ended.stderr
    for name in ("Chromium", "Java 17", "Keycloak"):
        assert f"missing, and CI skips nothing: {name}" in ended.stderr
