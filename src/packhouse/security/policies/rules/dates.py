"""Keep files published in a window of time."""

from __future__ import annotations

from typing import Any

import numpy as np

from packhouse.core.clock import to_iso
from packhouse.security.policies.batch import NOWHEN, Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class Published(Rule):
    """Hides files published before `start` or at `end` and later, both in microseconds; None leaves that side open.

    A file without a date counts as older than every other: conda packages have dates since 2017.
    """

    def __init__(self, start: int | None, end: int | None, key: str = "package_created") -> None:
        self.key = key
        self._start, self._end = start, end

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files lie outside the window. `NOWHEN` is less than every time."""
        hidden = np.zeros(len(batch), np.bool_)
        if self._start is not None:
            hidden |= batch.published_at < self._start
        if self._end is not None:
            hidden |= batch.published_at >= self._end
        return hidden

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the date."""
        at = int(batch.published_at[row])
        date = None if at == NOWHEN else to_iso(at)
        side = "late" if self._end is not None and at >= self._end else "early"
        return {"text": f"published {date or 'at an unknown time'}, which is too {side}", "published_at": date}
