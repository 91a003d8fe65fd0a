"""What a change of policy would do to a channel: nothing is stored, the same engine decides twice."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from packhouse.security.policies.batch import Ints
from packhouse.security.policies.closure import broken
from packhouse.security.policies.decide import Decisions
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.findings import STATUSES, UNSCORED


class Uninstallable(msgspec.Struct, frozen=True):
    """A package of which no file that may be seen can be installed any more, and a dependency it misses."""

    name: str
    missing: str
    files: int


class Remaining(msgspec.Struct, frozen=True):
    """A vulnerability in files that may be seen. The score is in tenths; `files` counts them by status."""

    cve: str
    score: int | None
    files: dict[str, int]


class Simulation(msgspec.Struct, frozen=True, eq=False):
    """The difference. Rows are those of the batch that both decisions are about."""

    disappears: Ints
    comes_back: Ints
    unsolvable: Ints  #: files that may be seen, but miss a dependency they had before
    missing: tuple[str, ...]  #: that dependency, for each of them
    uninstallable: list[Uninstallable]  #: by name
    remaining: list[Remaining]  #: worst first


def simulate(before: Decisions, after: Decisions, demands: Demands | None = None) -> Simulation:
    """Return what would change. Both decisions must be about the same batch; `demands` are what its files need."""
    if before.batch is not after.batch:
        raise ValueError("the decisions are about different batches")
    was, will = before.seen, after.seen
    unsolvable, missing = broken(demands, was, will) if demands is not None else (np.zeros(0, np.int64), ())
    return Simulation(
        np.flatnonzero(was & ~will),
        np.flatnonzero(will & ~was),
        unsolvable,
        missing,
        _uninstallable(after, unsolvable, missing),
        remaining(after),
    )


def _uninstallable(after: Decisions, rows: Ints, missing: tuple[str, ...]) -> list[Uninstallable]:
    name = after.batch.name
    left = np.bincount(name.codes[after.seen], minlength=len(name.values)) if len(rows) else ()
    lost = Counter(name.codes[rows].tolist())
    why = dict(zip(name.codes[rows].tolist(), missing, strict=True))
    found = [Uninstallable(name.values[code], why[code], count) for code, count in lost.items() if left[code] == count]
    return sorted(found, key=lambda one: one.name)


def remaining(decisions: Decisions) -> list[Remaining]:
    """Return the vulnerabilities of the files that may be seen, worst first."""
    findings = decisions.batch.findings
    which = decisions.seen[findings.rows]
    pairs = findings.vulnerability[which].astype(np.int64) * len(STATUSES) + findings.status[which]
    counts = np.bincount(pairs)
    found: dict[int, dict[str, int]] = {}
    for pair in np.flatnonzero(counts).tolist():
        number, status = divmod(pair, len(STATUSES))
        found.setdefault(number, {})[STATUSES[status]] = int(counts[pair])
    known = findings.vulnerabilities
    ordered = sorted(found, key=lambda number: (-known[number].score, known[number].key))
    return [
        Remaining(known[number].key, None if known[number].score == UNSCORED else known[number].score, found[number])
        for number in ordered
    ]
