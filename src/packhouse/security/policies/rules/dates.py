"""Keep files published in a window of time."""

from __future__ import annotations

from packhouse.core.clock import to_iso
from packhouse.security.policies.subject import Context, Subject


class Published:
    """Hides files published before `start` or at `end` and later, both in microseconds; None leaves that side open.

    A file without a date counts as older than every other: conda packages have dates since 2017.
    """

    key = "date"

    def __init__(self, start: int | None, end: int | None) -> None:
        self._start, self._end = start, end

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return the date when it lies outside the window."""
        at = subject.published_at
        if self._start is not None and (at is None or at < self._start):
            return f"published {to_iso(at) or 'at an unknown time'}, which is too early"
        if self._end is not None and at is not None and at >= self._end:
            return f"published {to_iso(at)}, which is too late"
        return None
