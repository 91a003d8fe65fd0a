"""Keep files for some versions of Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.specs import compile_for


class PythonVersions(Rule):
    """Hides files that ask for other versions of Python than these (such as `3.11`); who asks for none passes."""

    key = "python_versions"
    families = frozenset({"conda", "python"})
    looks_up = "python"

    def __init__(self, versions: Iterable[str]) -> None:
        self._versions = tuple(versions)

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are for none of the versions."""
        return ~batch.python.test(lambda asked: self._suits(batch.family, asked))

    def _suits(self, family: str, asked: str) -> bool:
        """Say whether a late release of one of the versions is what was asked for; who cannot be read passes."""
        condition = compile_for(family, f"python {asked}") if asked.strip() else None
        return condition is None or any(condition.matches_version(f"{version}.99") for version in self._versions)

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return what the file asks for."""
        asked = batch.python[row]
        return {"text": f"it is for Python {asked}, not for {' or '.join(self._versions)}", "python": asked}
