"""Nothing in the repository depends on the machine it was written on."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.unit.house.sources import ROOT

# in pieces, so that this file does not find itself
_HOME = re.compile(r"(?<![\w./<>{}-])/(?:" + "|".join(("work", "tmp", "root", "home")) + r")/\w")


def tracked() -> list[str]:
    """Return the names of the files under version control; skips where there is no checkout."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name}:{number}" for number, line in enumerate(text.splitlines(), 1) if _HOME.search(line)]
    assert found == []
