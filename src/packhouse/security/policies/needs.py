"""What files of a channel depend on: edges from files to the specs they ask for, in columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from packhouse.security.policies.batch import Batch, Bools, Coded, Ints
from packhouse.security.policies.specs import Matcher, compile_for, select_rows, selects_any

#: the subdir whose files are for every platform
NOARCH = "noarch"
_NAME = re.compile(r"\s*(?:[^\s:\[]*::?)?([A-Za-z0-9_.-]+)")  # `conda-forge::numpy >=1`


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

    @classmethod
    def none(cls, count: int) -> Needs:
        """Return the edges of files that need nothing."""
        return cls(np.zeros(count + 1, np.int64), Coded([], np.zeros(0, np.int32)))

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


class Providers:
    """Which files of a batch satisfy a dependency. Each spec is compiled once, and asked only about what matters."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._numbers = {name: number for number, name in enumerate(batch.name.values)}
        self._order = np.argsort(batch.name.codes, kind="stable")
        self._starts = np.searchsorted(batch.name.codes[self._order], np.arange(len(batch.name.values) + 1))
        self._matchers: dict[str, Matcher | None] = {}
        self._noarch = batch.partition.test(NOARCH.__eq__)

    def mark(self, spec: str, partition: str, wanted: Bools, found: Bools) -> None:
        """Set `found` for the `wanted` rows that satisfy a spec for files of a partition."""
        rows = self._near(spec, partition, wanted)
        if len(rows) and (matcher := self._matcher(spec)):
            found[rows[select_rows(matcher, self._batch, rows)]] = True

    def any(self, spec: str, partition: str, among: Bools) -> bool:
        """Say whether any row of `among` satisfies a spec for files of a partition."""
        rows = self._near(spec, partition, among)
        matcher = self._matcher(spec) if len(rows) else None
        return matcher is not None and selects_any(matcher, self._batch, rows)

    def _near(self, spec: str, partition: str, among: Bools) -> Ints:
        """Return the rows of the spec's package that can serve a partition: its own and noarch; a noarch file any."""
        number = about(self._batch.family, spec, self._numbers)
        if number is None:
            return np.zeros(0, np.int64)
        rows = self._order[self._starts[number] : self._starts[number + 1]]
        rows = rows[among[rows]]
        if partition != NOARCH and len(rows):
            same = self._batch.partition.codes[rows] == self._batch.partition.values.index(partition)
            rows = rows[same | self._noarch[rows]]
        return rows

    def _matcher(self, spec: str) -> Matcher | None:
        if spec not in self._matchers:
            self._matchers[spec] = compile_for(self._batch.family, spec)
        return self._matchers[spec]


def users_of(needs: Needs) -> dict[int, Ints]:
    """Return for each spec, by its code, the rows that ask for it."""
    order = np.argsort(needs.specs.codes, kind="stable")
    codes: NDArray[np.int32] = needs.specs.codes[order]
    starts = np.searchsorted(codes, np.arange(len(needs.specs.values) + 1))
    rows = needs.rows[order]
    return {code: rows[starts[code] : starts[code + 1]] for code in range(len(needs.specs.values))}


def by_partition(batch: Batch, rows: Ints) -> dict[str, Ints]:
    """Return rows grouped by the partition they stand in."""
    codes = batch.partition.codes[rows]
    return {batch.partition.values[code]: rows[codes == code] for code in np.unique(codes).tolist()}


def about(family: str, spec: str, numbers: Mapping[str, int]) -> int | None:
    """Return the number of the package a dependency is about, found without compiling the whole of it."""
    head = _NAME.match(spec)
    if head is None:
        return None
    if (number := numbers.get(head[1].lower())) is not None:
        return number
    matcher = compile_for(family, head[1])
    return numbers.get(matcher.name or "") if matcher else None
