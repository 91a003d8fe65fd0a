"""Keep out what is too new: malicious releases are mostly found out within days."""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np

from packhouse.core.clock import to_iso
from packhouse.security.policies.batch import NOWHEN, Batch, Bools, Ints
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class MinimumAge(Rule):
    """Hides mirrored files until they are `age` microseconds old; files of own users do not wait.

    The age is counted from when we first saw the file upstream. What stood in the first index we ever saw has no such
    time; there the source's claim counts, and without one the file is old. The release that fixes a known-exploited
    vulnerability of the version before it does not wait.
    """

    key = "minimum_age"
    scope = "channel"

    def __init__(self, age: int) -> None:
        self._age = age

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are too new."""
        young = batch.mirrored & (_since(batch) > now - self._age)
        if context.fixes and young.any():
            rows = np.flatnonzero(young)
            names = batch.name.test({name for name, _ in context.fixes}.__contains__)[rows]
            for row in compress(rows.tolist(), names.tolist()):
                young[row] = (batch.name[row], batch.version[row]) not in context.fixes
        return young

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return since when the file is known, and when it is old enough."""
        since = int(_since(batch)[row])
        seen, until = to_iso(since), to_iso(since + self._age)
        return {
            "text": f"it is known since {seen} and may be seen from {until} on",
            "known_since": seen,
            "until": until,
        }

    def until(self, batch: Batch, context: Context, now: int) -> Ints:
        """Return when each file is old enough."""
        since = _since(batch)
        return np.where(since == NOWHEN, NOWHEN, since + self._age)


def _since(batch: Batch) -> Ints:
    return np.where(batch.first_seen_at == NOWHEN, batch.published_at, batch.first_seen_at)
