"""Keep of each conda file only the newer archive form."""

from __future__ import annotations

from typing import Any

import numpy as np

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.rules.platform import CONDA


class LegacyTwins(Rule):
    """Hides a `.tar.bz2` when the channel has an equal `.conda`, whether that one may be seen or not."""

    key = "legacy_packages"
    scope = "channel"
    families = CONDA

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files have a newer twin. Few are legacy, so that only those are looked up."""
        hidden = np.zeros(len(batch), np.bool_)
        if len(context.modern) and batch.legacy.any():
            rows = np.flatnonzero(batch.legacy)
            hidden[rows] = context.modern.has(batch.take(rows))
        return hidden

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the twin's file name."""
        twin = f"{batch.label(row)}.conda"
        return {"text": f"the same package is here as {twin}", "twin": twin}
