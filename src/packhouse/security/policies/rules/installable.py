"""Keep the dependency closure whole: and then everything that can no longer be installed."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class Installable(Rule):
    """Hides files with a dependency that the channel has, but of which nothing may be seen any more."""

    key = "whole_closure"
    scope = "channel"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files cannot be installed."""
        return context.broken.has(batch)

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the dependency that is missing."""
        missing = context.missing[int(context.broken.find(batch)[row])]
        return {"text": f"it needs {missing}, of which nothing may be seen", "missing": missing}
