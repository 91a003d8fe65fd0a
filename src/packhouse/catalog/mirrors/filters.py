"""What a mirror takes of its source (spec.md 3.5), as users write it: the `filters` object of wire.md A.7."""

from __future__ import annotations

import math

import msgspec

from packhouse.core.clock import DAY, from_iso
from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.filename import is_subdir

#: longest window of dates
MAX_WINDOW = 366 * DAY
_MOST = 10_000


class Filters(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Every filter is optional; what passes all of them is mirrored."""

    subdirs: list[str] = []
    projects: list[str] = []  #: for Python sources
    include_licenses: list[str] = []
    exclude_licenses: list[str] = []
    only_specs: list[str] = []
    exclude_specs: list[str] = []
    include_specs: list[str] = []
    date_from: str | None = None  #: YYYY-MM-DD, included
    date_to: str | None = None  #: YYYY-MM-DD, included
    cve_score_threshold: float | None = None  #: drop files with a CVE of this score or more
    exclude_non_curated_cve: bool = False
    only_signed: bool = False

    @property
    def window(self) -> tuple[int | None, int | None]:
        """The window of dates in microseconds, its end exclusive. Raises PackhouseError("bad_request")."""
        start, end = _date(self.date_from), _date(self.date_to)
        return start, None if end is None else end + DAY


def check_filters(filters: Filters) -> Filters:
    """Return the filters if they make sense together. Raises PackhouseError("bad_request") naming the first fault."""
    for name in ("subdirs", "include_licenses", "exclude_licenses", "only_specs", "exclude_specs", "include_specs"):
        if len(getattr(filters, name)) > _MOST:
            raise _refusal(f"{name} has more than {_MOST:,} entries.", "Use patterns, or several mirrors.")
    for subdir in filters.subdirs:
        if not is_subdir(subdir):
            raise _refusal(f"{subdir[:40]!r} is not a subdir.", "Write for example noarch or linux-64.")
    if filters.projects:
        raise _refusal("`projects` is a filter of Python mirrors.", "Use only_specs for conda packages.")
    if filters.only_specs and (filters.exclude_specs or filters.include_specs):
        raise _refusal("only_specs cannot be combined with exclude_specs or include_specs.", "Choose one of the two.")
    _check_window(filters)
    score = filters.cve_score_threshold
    if score is not None and not (math.isfinite(score) and 0 <= score <= 10):
        raise _refusal("cve_score_threshold is a number from 0 to 10.", "Write for example 7.0.")
    return filters


def _check_window(filters: Filters) -> None:
    start, end = filters.window
    if start is None or end is None:
        return
    if start >= end - DAY:
        raise _refusal("date_from must be earlier than date_to.", "Exchange them.")
    if end - DAY - start > MAX_WINDOW:
        raise _refusal("The dates are more than a year apart.", "Choose a window of at most one year.")


def _date(text: str | None) -> int | None:
    if not text:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return from_iso(text)
    except ValueError:
        raise _refusal(f"{text[:40]!r} is not a date.", "Write YYYY-MM-DD.") from None


def _refusal(message: str, hint: str) -> PackhouseError:
    return PackhouseError("bad_request", message, hint)
