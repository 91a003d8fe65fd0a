"""Who asks for what, and who provides it. A demand is a spec as the files of one partition ask for it.

Nothing here depends on a policy: the same demands serve every policy that is tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from packhouse.core.stopping import checkpoint
from packhouse.security.policies.batch import Batch, Bools, Ints
from packhouse.security.policies.needs import NOARCH, Needs
from packhouse.security.policies.shelf import Shelf


class Demands:
    """The demands of the files of a batch, given what they need. Demands are spoken of by their numbers."""

    def __init__(self, batch: Batch, needs: Needs) -> None:
        self.batch, self._needs = batch, needs
        partitions = len(batch.partition.values)
        asked = needs.specs.codes * np.int64(partitions) + batch.partition.codes[needs.rows]
        pairs, self._of_edge, counts = np.unique(asked, return_inverse=True, return_counts=True)
        self._spec, self._partition = np.divmod(pairs, max(1, partitions))
        self._users = needs.rows[np.argsort(self._of_edge, kind="stable")]
        self._ends = np.cumsum(counts)
        self._shelf = Shelf(batch, needs.specs.values)
        self._name = self._shelf.names[self._spec]

    def __len__(self) -> int:
        """How many different demands there are."""
        return len(self._spec)

    def spec(self, demand: int) -> str:
        """Return what a demand asks for, as it was written."""
        return self._needs.specs.values[int(self._spec[demand])]

    def about(self, names: NDArray[np.integer[Any]]) -> Ints:
        """Return the demands that are about some packages, which are given by their numbers in the batch."""
        asked = np.zeros(self._shelf.nowhere + 1, np.bool_)
        asked[names] = True
        return np.flatnonzero(asked[self._name])

    def of(self, rows: Ints) -> Ints:
        """Return the demands of some files, each once."""
        asked = np.zeros(len(self._spec), np.bool_)
        asked[self._of_edge[self._needs.edges(rows)]] = True
        return np.flatnonzero(asked)

    def users(self, demands: Ints) -> tuple[Ints, Ints]:
        """Return the files that have some demands, and beside each the demand; in the order of the demands."""
        ends = self._ends[demands]
        sizes = ends - np.where(demands > 0, self._ends[demands - 1], 0)
        places = np.arange(int(sizes.sum())) + np.repeat(ends - np.cumsum(sizes), sizes)
        return self._users[places], np.repeat(demands, sizes)

    def met(self, demands: Ints, among: Bools) -> Bools:
        """Say of each of some demands whether a file of `among` satisfies it."""
        names = np.flatnonzero(np.bincount(self._name[demands]))
        first, end = self._shelf.files_of(names)
        sizes = end - first
        skipped = np.zeros(self._shelf.nowhere + 1, np.int64)  # places of other packages before those of one
        skipped[names] = first - np.cumsum(sizes) + sizes
        rows = self._shelf.rows[np.arange(int(sizes.sum())) + np.repeat(skipped[names], sizes)]
        found = np.zeros(len(demands), np.bool_)
        for partition, here in self._by_partition(demands):
            checkpoint()
            there = np.concatenate([[0], np.cumsum(among[rows] & self._serves(partition, rows))])
            which, begin, stop = self._shelf.runs(self._spec[demands[here]])
            before = skipped[self._name[demands[here]]][which]
            found[here[which[there[stop - before] > there[begin - before]]]] = True
        return found

    def providers(self, demands: Ints) -> Bools:
        """Return which files satisfy any of some demands."""
        places = np.zeros(len(self.batch), np.bool_)
        rows = self._shelf.rows
        for partition, here in self._by_partition(demands):
            checkpoint()
            _, begin, stop = self._shelf.runs(self._spec[demands[here]])
            depth = np.bincount(begin, minlength=len(rows) + 1) - np.bincount(stop, minlength=len(rows) + 1)
            places |= (np.cumsum(depth[:-1]) > 0) & self._serves(partition, rows)
        found = np.empty(len(rows), np.bool_)
        found[rows] = places
        return found

    def _by_partition(self, demands: Ints) -> list[tuple[int, Ints]]:
        partition = self._partition[demands]
        return [(one, np.flatnonzero(partition == one)) for one in np.flatnonzero(np.bincount(partition)).tolist()]

    def _serves(self, partition: int, rows: Ints) -> Bools:
        """Say which files can serve those of a partition: its own and noarch; a noarch file any."""
        values, codes = self.batch.partition.values, self.batch.partition.codes[rows]
        if values[partition] == NOARCH:
            return np.ones(len(rows), np.bool_)
        mine = np.array([value in (NOARCH, values[partition]) for value in values], np.bool_)
        served: Bools = mine[codes]
        return served
