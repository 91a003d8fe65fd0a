"""What rules look at: columns over the files of one family, so that a million are decided like one.

Texts are dictionary-encoded: a rule asks once about each distinct text. Times are microseconds, scores are tenths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from packhouse.security.policies.findings import Findings, Known

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
#: a time that is not known
NOWHEN = -(2**63)


class _Numbers(dict[str, int]):
    """Gives each new text the next number."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


class Coder:
    """Encodes a column of texts part by part."""

    def __init__(self) -> None:
        self._numbers = _Numbers()
        self._parts: list[NDArray[np.int32]] = []

    def add(self, texts: Iterable[str]) -> None:
        """Encode the next texts."""
        self._parts.append(np.fromiter(map(self._numbers.__getitem__, texts), np.int32))

    def coded(self) -> Coded:
        """Return the whole column."""
        codes = self._parts[0] if len(self._parts) == 1 else np.concatenate([np.zeros(0, np.int32), *self._parts])
        return Coded(list(self._numbers), codes)


class Coded:
    """A column of texts: `values` holds each distinct one, `codes` says by number which stands in each row."""

    __slots__ = ("codes", "values")

    def __init__(self, values: list[str], codes: NDArray[np.int32]) -> None:
        self.values, self.codes = values, codes

    @classmethod
    def of(cls, texts: Iterable[str]) -> Coded:
        """Encode the texts of a column."""
        coder = Coder()
        coder.add(texts)
        return coder.coded()

    @classmethod
    def all(cls, text: str, count: int) -> Coded:
        """Return a column with the same text in every row."""
        return cls([text], np.zeros(count, np.int32))

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        """Return the text of a row."""
        return self.values[int(self.codes[row])]

    def numbers(self) -> dict[str, int]:
        """Return the code of each text."""
        return {text: number for number, text in enumerate(self.values)}

    def test(self, question: Callable[[str], bool]) -> Bools:
        """Answer a question about each row's text, asking it once for each distinct one."""
        return self.spread(map(question, self.values))

    def spread(self, answers: Iterable[Any]) -> Bools:
        """Return for each row the answer that was given for its text, in the order of `values`."""
        return np.fromiter(answers, np.bool_, len(self.values))[self.codes]

    def take(self, rows: Ints) -> Coded:
        """Return the column of some rows, with only the texts that stand in them."""
        codes = self.codes[rows]
        if len(codes) < len(self.values):
            used, numbers = np.unique(codes, return_inverse=True)
            return Coded([self.values[code] for code in used.tolist()], numbers.astype(np.int32).reshape(-1))
        there = np.zeros(len(self.values), np.bool_)  # faster than to sort them
        there[codes] = True
        numbers = (np.cumsum(there) - 1)[codes]
        return Coded([self.values[code] for code in np.flatnonzero(there).tolist()], numbers.astype(np.int32))


class File(msgspec.Struct, frozen=True):
    """One file as rules see it, for those who have few of them: `Batch.of` makes the columns."""

    name: str
    version: str
    partition: str = ""
    build: str = ""
    build_number: int = 0
    license: str = ""
    license_family: str = "None"
    published_at: int | None = None
    first_seen_at: int | None = None
    python: str = ""
    signed: bool = False
    mirrored: bool = False
    held: bool = True
    install_code: bool = False
    mapped: bool = True
    quarantined: bool = False
    legacy: bool = False
    findings: tuple[tuple[Known, str], ...] = ()


class Batch(msgspec.Struct, frozen=True, eq=False):
    """Columns over the same files, all of one family."""

    family: str
    partition: Coded
    name: Coded
    version: Coded
    build: Coded
    license: Coded
    license_family: Coded  #: words of `formats.licenses.FAMILIES`
    python: Coded  #: what the file asks of Python's version, for example ">=3.9"; empty: nothing
    build_number: Ints
    published_at: Ints  #: as the source claims
    first_seen_at: Ints  #: in the upstream's index by us; `NOWHEN` for what stood in the first one we saw
    signed: Bools  #: verified by a key that is trusted
    mirrored: Bools
    held: Bools  #: we have the bytes, so that what only they say is known
    install_code: Bools  #: runs code when it is installed or when Python starts
    mapped: Bools  #: the name is known to advisories; else vulnerabilities are unknown, which is not none
    quarantined: Bools
    legacy: Bools  #: of an older archive form, such as `.tar.bz2`
    findings: Findings

    @classmethod
    def of(cls, family: str, files: Sequence[File]) -> Batch:
        """Return the batch of a few files."""
        columns: dict[str, Any] = {}
        for name in cls.__struct_fields__[1:-1]:
            values = [getattr(file, name) for file in files]
            columns[name] = _column(name, values)
        return cls(family=family, findings=Findings.of([file.findings for file in files]), **columns)

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.name)

    def take(self, rows: Ints | Bools) -> Batch:
        """Return the batch of some files, given by numbers in any order or as a mask."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        taken: dict[str, Any] = {}
        for name in self.__struct_fields__[1:]:
            column = getattr(self, name)
            taken[name] = column[rows] if isinstance(column, np.ndarray) else column.take(rows)
        return Batch(family=self.family, **taken)

    def label(self, row: int) -> str:
        """Return the file in words: name, version and build."""
        return "-".join(filter(None, (self.name[row], self.version[row], self.build[row])))


TEXTS = ("partition", "name", "version", "build", "license", "license_family", "python")
TIMES = ("published_at", "first_seen_at")


def _column(name: str, values: Collection[Any]) -> Coded | NDArray[Any]:
    if name in TEXTS:
        return Coded.of(values)
    if name in TIMES:
        return times(values)
    return np.array(list(values), np.int64 if name == "build_number" else np.bool_)


def times(values: Iterable[int | None]) -> Ints:
    """Return a column of times, with `NOWHEN` for None."""
    return np.fromiter((NOWHEN if value is None else value for value in values), np.int64)


def flags(value: bool, count: int) -> Bools:
    """Return a column that says the same of every file."""
    return np.fromiter(repeat(value, count), np.bool_, count)
