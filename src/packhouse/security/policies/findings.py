"""Which vulnerabilities were found in which files of a batch, and what was said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from packhouse.security.vulnerabilities.advisory import Kind, Status

STATUSES: tuple[str, ...] = get_args(Status)
#: a vulnerability without a score
UNSCORED = -1
#: findings of one file that evidence lists
MOST_TOLD = 20


class Known(msgspec.Struct, frozen=True):
    """One vulnerability. The score is in tenths, or `UNSCORED`; aliases are its other identifiers."""

    key: str
    score: int = UNSCORED
    kind: Kind = "vulnerability"
    exploited: bool = False
    aliases: tuple[str, ...] = ()

    def is_among(self, names: frozenset[str]) -> bool:
        """Say whether it goes by one of `names`, which are in upper case."""
        return self.key.upper() in names or any(alias.upper() in names for alias in self.aliases)


class Findings:
    """The findings of row r are those from `offsets[r]` up to `offsets[r + 1]`."""

    __slots__ = ("_rows", "offsets", "status", "vulnerabilities", "vulnerability")

    def __init__(
        self,
        offsets: NDArray[np.int64],
        vulnerability: NDArray[np.int32],
        status: NDArray[np.int8],
        vulnerabilities: list[Known],
    ) -> None:
        """`vulnerability` are indexes into `vulnerabilities`, `status` into `STATUSES`."""
        self.offsets, self.vulnerability, self.status = offsets, vulnerability, status
        self.vulnerabilities = vulnerabilities
        self._rows: NDArray[np.int64] | None = None

    @classmethod
    def none(cls, count: int) -> Findings:
        """Return the findings of files in which nothing was found."""
        return cls(np.zeros(count + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8), [])

    @classmethod
    def of(cls, found: Sequence[Iterable[tuple[Known, str]]]) -> Findings:
        """Return the findings of each row, given as (vulnerability, status)."""
        numbers: dict[Known, int] = {}
        flat = [
            (numbers.setdefault(known, len(numbers)), STATUSES.index(status)) for row in found for known, status in row
        ]
        sizes = [len(tuple(row)) for row in found]
        return cls(
            np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
            np.array([number for number, _ in flat], np.int32),
            np.array([status for _, status in flat], np.int8),
            list(numbers),
        )

    def __len__(self) -> int:
        """How many findings there are."""
        return len(self.vulnerability)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.offsets) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each finding."""
        if self._rows is None:
            self._rows = np.repeat(np.arange(self.count), np.diff(self.offsets))
        return self._rows

    def about(self, question: Callable[[Known], bool]) -> NDArray[np.bool_]:
        """Return which findings are of vulnerabilities that pass, each asked once."""
        known = np.fromiter(map(question, self.vulnerabilities), np.bool_, len(self.vulnerabilities))
        return known[self.vulnerability]

    def in_status(self, statuses: Iterable[str]) -> NDArray[np.bool_]:
        """Return which findings have one of these statuses."""
        return np.array([status in statuses for status in STATUSES])[self.status]

    @property
    def scores(self) -> NDArray[np.int64]:
        """The score of each finding in tenths, `UNSCORED` where there is none."""
        known = np.fromiter((one.score for one in self.vulnerabilities), np.int64, len(self.vulnerabilities))
        return known[self.vulnerability]

    def any(self, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows have one of the chosen findings."""
        found = np.zeros(self.count, np.bool_)
        found[self.rows[which]] = True
        return found

    def highest(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the highest score of the chosen findings of each row, `UNSCORED` where there is none."""
        found = np.full(self.count, UNSCORED, np.int64)
        np.maximum.at(found, self.rows[which], self.scores[which])
        return found

    def of_row(self, row: int, which: NDArray[np.bool_] | None = None) -> list[tuple[Known, str]]:
        """Return the (chosen) findings of a row, worst first."""
        span = range(int(self.offsets[row]), int(self.offsets[row + 1]))
        found = [
            (self.vulnerabilities[self.vulnerability[at]], STATUSES[self.status[at]])
            for at in span
            if which is None or which[at]
        ]
        return sorted(found, key=lambda one: (-one[0].score, one[0].key))

    def where(self, which: NDArray[np.bool_]) -> Findings:
        """Return only the chosen findings, of the same rows."""
        kept = np.concatenate([[0], np.cumsum(which)]).astype(np.int64)[self.offsets]
        return Findings(kept, self.vulnerability[which], self.status[which], self.vulnerabilities)

    def take(self, rows: NDArray[np.int64]) -> Findings:
        """Return the findings of some rows, in their order."""
        sizes = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        at = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[rows], sizes)
        used, numbers = np.unique(self.vulnerability[at], return_inverse=True)
        known = [self.vulnerabilities[number] for number in used.tolist()]
        return Findings(offsets, numbers.astype(np.int32).reshape(-1), self.status[at], known)


def evidence_of(found: Sequence[tuple[Known, str]]) -> dict[str, Any]:
    """Return findings with their statuses, as of `of_row`, for the evidence of a rule: the first, and how many."""
    listed = [
        {"cve": known.key, "score": None if known.score == UNSCORED else known.score / 10, "status": status}
        for known, status in found[:MOST_TOLD]
    ]
    return {"cves": listed, "count": len(found)}
