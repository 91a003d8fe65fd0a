"""Keep out what somebody put into quarantine by hand."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class Quarantine(Rule):
    """Hides files in quarantine: always, whatever the policy."""

    key = "quarantine"
    hides_only = "quarantine"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are in quarantine."""
        return batch.quarantined

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return that it is so; who did it, and why, stands with the quarantine."""
        return {"text": "it was put into quarantine"}
