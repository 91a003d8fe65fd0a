"""Keep only the newest version of each package."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class LatestOnly(Rule):
    """Hides files of all but the newest version, of those that the other rules let pass."""

    key = "latest_only"
    scope = "channel"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are not of the newest version."""
        return ~context.newest.has(batch)

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return that it is so."""
        return {"text": f"a newer version of {batch.name[row]} may be seen"}
