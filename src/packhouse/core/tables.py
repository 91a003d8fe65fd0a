"""Tables for spreadsheets: CSV (RFC 4180) whose cells are texts and never formulas.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return, and names of packages, notes
and summaries are written by strangers: such a cell gets an apostrophe in front, which spreadsheets do not show. What
follows a separator inside a quoted cell may be cut apart by programs that do not know quotes, so lines within a cell
become spaces.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")  # noqa: RUF001  # spreadsheets take wide signs too
_ENDS = str.maketrans(dict.fromkeys("\r\n\t\v\f\0\x85\u2028\u2029", " "))


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows as lines of CSV in UTF-8. None is an empty cell; numbers stay numbers."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    if value is None or isinstance(value, int | float):
        return "" if value is None else value
    text = str(value)
    line = text if text.isprintable() else text.translate(_ENDS)  # no end of a line is printable
    return "'" + line if text.lstrip(" ").startswith(_RUN) else line
