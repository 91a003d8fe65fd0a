"""What files of a channel depend on: edges from files to the specs they ask for, in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from packhouse.security.policies.batch import Coded, Ints

#: the subdir whose files are for every platform
NOARCH = "noarch"


class Needs:
    """The dependencies of row r are `specs.codes[offsets[r]:offsets[r + 1]]`."""

    def __init__(self, offsets: Ints, specs: Coded) -> None:
        self.offsets, self.specs = offsets, specs
        self._rows: Ints | None = None

    @classmethod
    def of(cls, depends: Sequence[Iterable[str]]) -> Needs:
        """Return the edges of each row, given as the specs it asks for."""
        flat = [list(row) for row in depends]
        sizes = [len(row) for row in flat]
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        return cls(offsets, Coded.of(spec for row in flat for spec in row))

    @property
    def rows(self) -> Ints:
        """The row of each edge."""
        if self._rows is None:
            self._rows = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return self._rows

    def edges(self, rows: Ints) -> Ints:
        """Return the numbers of the edges of some rows."""
        sizes = np.diff(self.offsets)[rows]
        ends = np.cumsum(sizes)
        return np.arange(int(sizes.sum())) - np.repeat(ends - sizes - self.offsets[rows], sizes)
