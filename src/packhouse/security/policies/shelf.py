"""Files in the order of their versions, where what a spec selects stands together: one run of files, seldom more.

So that a dependency is looked up as in a sorted list, and not asked about file by file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from packhouse.core.stopping import checkpoint
from packhouse.formats import registry
from packhouse.security.policies.batch import Batch, Ints
from packhouse.security.policies.specs import asks_versions_only, compile_for, select_rows

_NAME = re.compile(r"\s*(?:[^\s:\[]*::?)?([A-Za-z0-9_.-]+)")  # `conda-forge::numpy >=1`


class Runs(NamedTuple):
    """Runs of files on a shelf: run r is of spec `spec[r]`, from place `first[r]` to before `end[r]`."""

    spec: Ints
    first: Ints
    end: Ints


class Shelf:
    """The files of a batch by name, version (oldest first) and build. Nothing here depends on a policy."""

    def __init__(self, batch: Batch, specs: Sequence[str]) -> None:
        self._batch, self._specs = batch, specs
        order = registry.get(batch.family).order
        keys = [order(version) for version in batch.version.values]
        ordered = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys: list[Any] = [keys[number] for number in ordered]
        rank = np.empty(len(keys), np.int64)
        rank[ordered] = np.arange(len(keys))
        columns = (batch.build.codes, rank[batch.version.codes], batch.name.codes)
        self.rows: Ints = np.lexsort(columns)  #: which file stands at each place
        self._heights = self._height(batch.name.codes, rank[batch.version.codes])[self.rows]
        self.nowhere = len(batch.name.values)  #: the number of a package that is not here
        self.names: Ints = np.full(len(specs), self.nowhere)  #: the package each spec is about, by its number
        self._first, self._end = np.zeros((2, len(specs)), np.int64)
        self._scattered = np.zeros(len(specs), np.bool_)
        self._asked: dict[int, Runs] = {}
        self._place()

    def files_of(self, names: Any) -> tuple[Any, Any]:
        """Return where the files of some packages begin on the shelf, and before which place they end."""
        return self._place_of(names, 0), self._place_of(names + 1, 0)

    def runs(self, specs: Ints) -> Runs:
        """Return the files that some specs select. `spec` says which of `specs`, by its place among them."""
        found = [Runs(np.arange(len(specs)), self._first[specs], self._end[specs])]
        for at in np.flatnonzero(self._scattered[specs]).tolist():
            runs = self._ask(int(specs[at]))
            found.append(runs._replace(spec=np.full(len(runs.first), at)))
        return Runs(*map(np.concatenate, zip(*found, strict=True)))

    def _place(self) -> None:
        """Find the package of each spec, and its run if it has one."""
        numbers, spans = self._batch.name.numbers(), dict[str, tuple[int, int] | None]()
        between = np.zeros((2, len(self._specs)), np.int64)
        for spec, text in enumerate(self._specs):
            checkpoint()
            if (found := _package(self._batch.family, text, numbers)) is None:
                continue
            self.names[spec], rest = found
            plain = asks_versions_only(text)
            if plain and rest not in spans:  # it is the same for every package
                matcher = compile_for(self._batch.family, text)
                spans[rest] = matcher.span(self._keys) if matcher else None
            span = spans[rest] if plain else None
            self._scattered[spec] = span is None
            between[:, spec] = span or (0, 0)
        self._first, self._end = (self._place_of(self.names, ranks) for ranks in between)

    def _ask(self, spec: int) -> Runs:
        """Return the runs of a spec that each file of its package is asked about, once."""
        if spec not in self._asked:
            checkpoint()
            first, end = map(int, self.files_of(self.names[spec]))
            matcher = compile_for(self._batch.family, self._specs[spec])
            chosen = np.zeros(end - first + 2, np.bool_)
            if matcher is not None:
                chosen[1:-1] = select_rows(matcher, self._batch, self.rows[first:end])
            edges = np.flatnonzero(chosen[1:] != chosen[:-1]) + first
            self._asked[spec] = Runs(edges[::2], edges[::2], edges[1::2])
        return self._asked[spec]

    def _height(self, names: Any, ranks: Any) -> Ints:
        found: Ints = np.asarray(names, np.int64) * (len(self._keys) + 1) + ranks
        return found

    def _place_of(self, names: Any, ranks: Any) -> Any:
        """Return the places of the first files of some packages whose versions are not before some ranks."""
        return np.searchsorted(self._heights, self._height(names, ranks))


def _package(family: str, spec: str, numbers: Mapping[str, int]) -> tuple[int, str] | None:
    """Return the number of the package a dependency is about, and what follows its name; None when it is not here."""
    head = _NAME.match(spec)
    if head is None:
        return None
    number = numbers.get(head[1].lower())
    if number is None:
        matcher = compile_for(family, head[1])
        number = numbers.get(matcher.name or "") if matcher else None
    return None if number is None else (number, spec[head.end() :])
