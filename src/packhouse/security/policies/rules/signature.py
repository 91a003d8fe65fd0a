"""Keep only files whose record is signed by a key that is trusted."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.rules.platform import CONDA


class OnlySigned(Rule):
    """Hides files without a signature that was verified; a mere entry among the signatures never passes."""

    families = CONDA
    looks_up = "signatures"

    def __init__(self, key: str = "only_signed_packages") -> None:
        self.key = key

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are not signed."""
        return ~batch.signed

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return that it is so."""
        return {"text": "its record is not signed by a trusted key"}
