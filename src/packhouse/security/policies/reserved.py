"""Reserved names, against dependency confusion: what is reserved here is never offered from a mirror."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.specs import Specs


class Reserved:
    """What a channel keeps for itself: names that were uploaded to it, and an administrator's names and patterns."""

    def __init__(self, uploaded: Mapping[str, Iterable[str]], patterns: Iterable[str] = ()) -> None:
        """`uploaded` are normalised names by family; patterns are such as `acme-*` or `python:acme-*`.

        Raises PackhouseError("bad_request") for a pattern that no format can read.
        """
        self._uploaded = MappingProxyType({family: frozenset(names) for family, names in uploaded.items()})
        self._patterns = Specs(patterns)

    def __bool__(self) -> bool:
        """Whether anything is reserved."""
        return bool(self._uploaded or self._patterns)

    @property
    def patterns(self) -> bool:
        """Whether an administrator reserved anything, so that any name may be."""
        return bool(self._patterns)

    def select(self, batch: Batch) -> Bools:
        """Return which files have a reserved name, wherever they came from."""
        uploaded = self._uploaded.get(batch.family, frozenset())
        found = batch.name.test(uploaded.__contains__) if uploaded else np.zeros(len(batch), np.bool_)
        return found | self._patterns.select(batch) if self._patterns else found

    def keeps(self, family: str, name: str) -> bool:
        """Whether a name (normalised) is reserved."""
        return name in self._uploaded.get(family, ()) or bool(self._patterns.about(family, name))

    def why(self, batch: Batch, row: int) -> str:
        """Return what reserves the name of a file: the pattern, else the name itself."""
        return self._patterns.first(batch, row) or batch.name[row]


NOTHING = Reserved({})
