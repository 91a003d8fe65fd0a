"""Keep mirrored files out of names that are reserved, against dependency confusion."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class ReservedName(Rule):
    """Hides mirrored files whose name the channel keeps for its own uploads."""

    key = "reserved_name"
    scope = "channel"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files came from a mirror under a reserved name."""
        return context.reserved.select(batch) & batch.mirrored

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return what reserves the name."""
        by = context.reserved.why(batch, row)
        return {
            "text": f"the name {batch.name[row]} is reserved ({by}) and this file came from a mirror",
            "reserved": by,
        }
