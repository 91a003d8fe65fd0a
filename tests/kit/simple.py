"""Rows and pages of a simple index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packhouse.formats.python.filename import parse_wheel_filename
from packhouse.formats.python.format import PythonFormat
from packhouse.formats.python.record import canonical_json
from tests.kit.partrow import PartRow

Said = Mapping[str, Any]
URL = "https://index.example.org/simple/demo/"
VISIBLE_AT = 1_750_000_000_123_456


def record(filename: str, more: Said | None = None) -> dict[str, Any]:
    """The record of a wheel of that name."""
    name, version, build, number = parse_wheel_filename(filename)
    known = {"filename": filename, "name": name, "version": version, "build": build, "build_number": number}
    return known | {"hashes": {"sha256": "ab" * 32}, "size": 1000} | dict(more or {})


def row(
    filename: str, more: Said | None = None, *, signatures: str | None = None, visible_at: int = VISIBLE_AT
) -> PartRow:
    """The row of a wheel; `more` goes into its record, and a value of None leaves the key out."""
    said = {key: value for key, value in record(filename, more).items() if value is not None}
    return PartRow(filename, canonical_json(said), b"", signatures, visible_at)


def page_of(*rows: PartRow) -> bytes:
    """The JSON page of a project with these files."""
    return PythonFormat().render_part(rows)[0]
