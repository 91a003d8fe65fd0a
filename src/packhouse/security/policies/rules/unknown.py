"""Keep out files of whose vulnerabilities nobody can know."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class UnknownVulnerabilities(Rule):
    """Hides files whose name no advisory knows by any alias: nothing found there does not mean that nothing is."""

    key = "unknown_vulnerabilities"
    looks_up = "aliases"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files advisories do not know."""
        return ~batch.mapped

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return that it is so."""
        return {"text": f"no source of advisories is known to speak of {batch.name[row]}"}
