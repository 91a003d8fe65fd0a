"""A set of files of one channel, to be looked up in any other batch: exact, and by columns at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from packhouse.security.policies.batch import Batch, Bools, Coded, Ints

#: what tells files apart, but for the archive form
COLUMNS = ("partition", "name", "version", "build")


class _Step(NamedTuple):
    """One column: the number of each text, and the sorted pairs (place of the columns before, number) that exist."""

    numbers: dict[str, int]
    pairs: Ints


class Keys:
    """Coordinates of files. `find` says which of them a file is."""

    __slots__ = ("_order", "_steps")
    NONE: ClassVar[Keys]

    def __init__(self, steps: list[_Step], order: Ints) -> None:
        self._steps, self._order = steps, order

    @classmethod
    def of(cls, batch: Batch, rows: Ints) -> Keys:
        """Return the coordinates of some rows. `find` answers with places in `rows`, the first one of equal ones."""
        steps: list[_Step] = []
        place = np.zeros(len(rows), np.int64)
        for name in COLUMNS:
            column: Coded = getattr(batch, name).take(rows)
            pairs, place = np.unique(place * len(column.values) + column.codes, return_inverse=True)
            place = place.reshape(-1).astype(np.int64)
            steps.append(_Step({text: number for number, text in enumerate(column.values)}, pairs))
        return cls(steps, np.unique(place, return_index=True)[1].astype(np.int64))

    def __len__(self) -> int:
        """How many different coordinates there are."""
        return len(self._order)

    def find(self, batch: Batch) -> Ints:
        """Return for each file its place among the rows this was made of, or -1."""
        place = np.zeros(len(batch), np.int64)
        if not len(self):
            return place - 1
        there = np.ones(len(batch), np.bool_)
        for name, (numbers, pairs) in zip(COLUMNS, self._steps, strict=True):
            column: Coded = getattr(batch, name)
            known = np.fromiter((numbers.get(text, -1) for text in column.values), np.int64, len(column.values))
            number = known[column.codes]
            wanted = place * len(numbers) + number
            place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
            there &= (number >= 0) & (pairs[place] == wanted)
        return np.where(there, self._order[place], -1)

    def has(self, batch: Batch) -> Bools:
        """Return which files are among them."""
        return self.find(batch) >= 0


Keys.NONE = Keys([], np.zeros(0, np.int64))
