"""The reference pages say what the code says."""

from __future__ import annotations

import subprocess
import sys

from tests.unit.house.sources import ROOT

SCRIPT = ROOT / "scripts" / "reference.py"


def test_no_reference_page_is_stale() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_pages_name_every_code_setting_and_route() -> None:
    from packhouse.core.errors import CODES
    from packhouse.core.settings import DESCRIPTIONS
    from packhouse.doors.api.permissions import ROUTES

    read = {page.name: page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md")}
    assert all(f"`{code}`" in read["errors.md"] for code in CODES)
    assert all(f"`{name}`" in read["settings.md"] for name in DESCRIPTIONS)
    assert all(f"`{method} {path}`" in read["permissions.md"] for method, path in ROUTES)
