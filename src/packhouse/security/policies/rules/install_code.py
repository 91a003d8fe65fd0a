"""Keep out files that run code when they are installed, or whenever Python starts."""

from __future__ import annotations

from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule


class InstallTimeCode(Rule):
    """Hides files with such code. Only the bytes say so: of a file we do not hold, `hide_missing` decides.

    A file that passes unheld is judged again on its bytes before the first of them is sent.
    """

    key = "install_time_code"

    def __init__(self, *, hide_missing: bool = False) -> None:
        self._hide_missing = hide_missing

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files run code, or may."""
        found = batch.install_code & batch.held
        return found | ~batch.held if self._hide_missing else found

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return whether it is known."""
        if batch.held[row]:
            return {"text": "it runs code when it is installed or when Python starts"}
        return {
            "text": "it was not fetched yet, so nobody can say whether it runs code when installed",
            "missing": True,
        }
