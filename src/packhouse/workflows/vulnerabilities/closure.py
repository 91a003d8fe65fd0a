"""What installing a file may bring along: each dependency with how it stands, and the worst over all of them.

The closure is over what readers of the channel see and can install: every build that satisfies a dependency, directly
or not, since any of them may be what a solver picks. What only a hidden file could satisfy is not in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from packhouse.catalog.channels.channel import Channel
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.formats.base import Coordinate, Facts
from packhouse.security.policies.batch import Bools
from packhouse.security.policies.closure import broken, needed_by
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.findings import STATUSES, UNSCORED
from packhouse.security.policies.needs import NOARCH
from packhouse.security.policies.rules.vulnerabilities import SETTLED
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.whole import demands_of, needs_of
from packhouse.workflows.vulnerabilities.knowledge import Answer
from packhouse.workflows.vulnerabilities.packages import Finding, Standing, of_file
from packhouse.workflows.vulnerabilities.store import shown

#: what tells of the machine and is no package (CEP 30)
_VIRTUAL = "__"


class Candidate(msgspec.Struct, frozen=True):
    """A file that may come along, and how it stands."""

    name: str
    version: str
    build: str
    ckey: str
    stands: Standing
    worst: str | None  #: the key of what is worst in it and not settled; None: nothing is


class Dependency(msgspec.Struct, frozen=True):
    """What a file asks for, and what readers of the channel have for it."""

    spec: str
    name: str
    files: int  #: that satisfy it and can be installed
    newest: Candidate | None  #: what a solver would rather take
    worst: Candidate | None  #: the one with the worst that is not settled; None: none has anything


class Closure(msgspec.Struct, frozen=True):
    """Everything that may come along with a file."""

    dependencies: list[Dependency]
    files: int
    packages: int
    answer: Answer  #: of all of it, without the file itself
    worst: Candidate | None


async def closure_of(db: Database, here: Channel, family: str, partition: str, filename: str, name: str) -> Closure:
    """Return what installing a file of a channel may bring along. The file must be there."""
    rows, visible = await _within_reach(db, here.id, family, partition, filename, name)
    batch = batch_of(rows, await recall(db, family, rows))
    demands = await demands_of(db, batch, [row.record_id for row in rows])
    seen = np.fromiter((row.pair in visible for row in rows), np.bool_, len(rows))
    return await asyncio.to_thread(_close, _Reach(rows, demands), seen)


async def _within_reach(
    db: Database, channel_id: int, family: str, partition: str, filename: str, name: str
) -> tuple[list[FileRow], set[tuple[int, int]]]:
    """Return the file, and after it all files of names that it can lead to; and which of them readers see."""
    own = await store.here_of_names(db, channel_id, family, [name])
    rows = [row for row in own if (row.partition, row.filename) == (partition, filename)]
    places = {partition, NOARCH} if partition != NOARCH else None
    visible: set[tuple[int, int]] = set()
    done: set[str] = set()
    new = await _names_needed(db, family, rows)
    while new:
        done |= new
        found = await store.here_of_names(db, channel_id, family, sorted(new))
        found = [row for row in found if places is None or row.partition in places]
        visible |= await shown(db, channel_id, family, sorted(new))
        new = await _names_needed(db, family, found) - done
        rows += [row for row in found if (row.partition, row.filename) != (partition, filename)]
    return rows, visible


async def _names_needed(db: Database, family: str, rows: Sequence[FileRow]) -> set[str]:
    needs = await needs_of(db, family, [row.record_id for row in rows])
    nothing = Coordinate(family, "", "", "", None)
    return set(registry.get(family).relations(Facts(nothing, {}, depends=list(needs.specs.values))))


class _Reach:
    """The files within reach, the first of which is the one that is asked about."""

    def __init__(self, rows: Sequence[FileRow], demands: Demands) -> None:
        self.rows, self.demands, self.batch = rows, demands, demands.batch

    def candidate(self, row: int) -> Candidate:
        """Return a file with how it stands."""
        file = self.rows[row]
        findings = self.batch.findings
        first, last = int(findings.offsets[row]), int(findings.offsets[row + 1])
        found: list[Finding] = []
        for at in range(first, last):
            score = findings.vulnerabilities[findings.vulnerability[at]].score
            found.append((STATUSES[findings.status[at]], None if score == UNSCORED else score))
        worst = max(range(first, last), key=self._badness, default=None)
        unsettled = worst is not None and self._badness(worst) > _HARMLESS
        return Candidate(
            file.name,
            file.version,
            file.build,
            f"{file.partition}/{file.filename}",
            of_file(found, bool(self.batch.mapped[row])),
            findings.vulnerabilities[findings.vulnerability[worst]].key if unsettled else None,
        )

    def newest(self, rows: Iterable[int]) -> int | None:
        """Return the newest of some files."""
        order = registry.get(self.batch.family).order
        return max(rows, key=lambda row: (order(self.rows[row].version), self.rows[row].build_number), default=None)

    def worst(self, rows: Iterable[int]) -> int | None:
        """Return the file with the worst that is not settled; None when none has anything."""
        offsets = self.batch.findings.offsets
        rated = [
            (max(map(self._badness, range(offsets[row], offsets[row + 1])), default=_HARMLESS), row) for row in rows
        ]
        badness, row = max(rated, default=(_HARMLESS, -1))
        return row if badness > _HARMLESS else None

    def _badness(self, at: int) -> tuple[int, int]:
        """Return a finding as a sort key: malware before all scores, one without a score after them."""
        findings = self.batch.findings
        if STATUSES[findings.status[at]] in SETTLED:
            return _HARMLESS
        known = findings.vulnerabilities[findings.vulnerability[at]]
        return (2 if known.kind == "malware" else 1), known.score


#: below every finding that is not settled
_HARMLESS = (0, 0)


def _close(reach: _Reach, seen: Bools) -> Closure:
    start = np.zeros(len(reach.rows), np.bool_)
    start[0] = True
    lost, _ = broken(reach.demands, np.ones(len(seen), np.bool_), seen | start)
    allowed = seen.copy()
    allowed[lost] = False
    rows = np.flatnonzero(needed_by(reach.demands, start, allowed | start) & ~start).tolist()
    found = [_dependency(reach, demand, allowed) for demand in reach.demands.of(np.array([0])).tolist()]
    found = [one for one in found if one.files or not one.name.startswith(_VIRTUAL)]
    worst = reach.worst(rows)
    return Closure(
        sorted(found, key=lambda one: (one.name, one.spec)),
        len(rows),
        len({reach.rows[row].name for row in rows}),
        _answer(reach, rows, found, worst is not None),
        None if worst is None else reach.candidate(worst),
    )


def _dependency(reach: _Reach, demand: int, allowed: Bools) -> Dependency:
    spec = reach.demands.spec(demand)
    rows = np.flatnonzero(reach.demands.providers(np.array([demand])) & allowed).tolist()
    nothing = Coordinate(reach.batch.family, "", "", "", None)
    names = registry.get(reach.batch.family).relations(Facts(nothing, {}, depends=[spec]))
    newest, worst = reach.newest(rows), reach.worst(rows)
    return Dependency(
        spec,
        names[0] if names else "",
        len(rows),
        None if newest is None else reach.candidate(newest),
        None if worst is None else reach.candidate(worst),
    )


def _answer(reach: _Reach, rows: Sequence[int], asked: Sequence[Dependency], affected: bool) -> Answer:
    """Return the answer for the whole: what is not here, or of no known name, leaves it open."""
    if affected:
        return "affected"
    offsets = reach.batch.findings.offsets
    unknown = any(not reach.batch.mapped[row] and offsets[row] == offsets[row + 1] for row in rows)
    return "unknown" if unknown or any(not one.files for one in asked) else "not_affected"
