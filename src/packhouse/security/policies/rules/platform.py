"""Keep files of some platforms, and the noarch files that those need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.needs import NOARCH
from packhouse.security.policies.rule import Rule

CONDA = frozenset({"conda"})


class Platforms(Rule):
    """Hides files of other subdirs than `include`, if there are any, and of those in `exclude`."""

    families = CONDA

    def __init__(self, include: Iterable[str], exclude: Iterable[str] = (), key: str = "platform") -> None:
        self.key = key
        self._include, self._exclude = frozenset(include), frozenset(exclude)

    def _keeps(self, subdir: str) -> bool:
        return (not self._include or subdir in self._include) and subdir not in self._exclude

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files are of a platform that is not selected."""
        return ~batch.partition.test(self._keeps)

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the platform."""
        subdir = batch.partition[row]
        return {"text": f"the platform {subdir} is not selected", "platform": subdir}


class NeededNoarch(Rule):
    """Hides noarch files that no selected file needs, where platforms are selected and noarch is not named.

    Users of one platform need the noarch files that its packages depend on.
    """

    key = "platform"
    scope = "channel"
    families = CONDA

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which noarch files are not needed."""
        noarch = batch.partition.test(NOARCH.__eq__)
        return noarch & ~context.needed.has(batch) if noarch.any() else np.zeros(len(batch), np.bool_)

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the platform."""
        return {"text": "no file of the selected platforms needs this noarch file", "platform": NOARCH}
