"""CSV for spreadsheets: what strangers wrote stays text, and comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.tables import csv_lines


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "\n=1", "＝1"],  # noqa: RUF001  # is one of them
)
def test_a_formula_becomes_a_text(text: str) -> None:
    [[cell]] = read(csv_lines([[text]]))
    assert cell.startswith("'")


def test_what_is_harmless_stays_as_it_is() -> None:
    row = ["numpy", 9.8, None, 'a "quoted", text', "über=1", 0]
    assert read(csv_lines([row])) == [["numpy", "9.8", "", 'a "quoted", text', "über=1", "0"]]


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=1))
def test_a_row_is_a_line_and_no_cell_begins_with_a_sign(rows: list[list[str]]) -> None:
    data = csv_lines(rows)
    assert data.count(b"\r\n") == len(rows)
    for row in read(data):
        assert len(row) == 2
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)
