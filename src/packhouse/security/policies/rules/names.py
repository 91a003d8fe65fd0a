"""Keep or drop files by name or match spec: only these, all but those, and exceptions to the latter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.specs import Specs


class OnlyNames(Rule):
    """Hides what none of the specs selects."""

    def __init__(self, specs: Iterable[str], key: str = "package_name") -> None:
        self.key = key
        self.specs = Specs(specs)

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files no spec selects."""
        return ~self.specs.select(batch)

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return that it is so."""
        return {"text": "no spec selects it", "specs": len(self.specs.texts)}


class OnlyNamesAndNeeds(OnlyNames):
    """Hides what none of the specs selects, and no file that they select needs."""

    scope = "channel"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are neither selected nor needed."""
        return ~(self.specs.select(batch) | context.needed.has(batch))

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return that it is so."""
        return {"text": "no spec selects it, and nothing that is selected needs it", "specs": len(self.specs.texts)}


class ExcludeNames(Rule):
    """Hides what a spec excludes, unless an exception selects it; that overrides nothing but this rule."""

    def __init__(
        self, exclude: Iterable[str], exceptions: Iterable[str] = (), key: str = "exclude_package_name"
    ) -> None:
        self.key = key
        self._exclude, self._exceptions = Specs(exclude), Specs(exceptions)

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are excluded."""
        excluded = self._exclude.select(batch)
        return excluded & ~self._exceptions.select(batch) if self._exceptions and excluded.any() else excluded

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the spec that excludes the file."""
        spec = self._exclude.first(batch, row)
        return {"text": f"excluded by {spec}", "spec": spec}
