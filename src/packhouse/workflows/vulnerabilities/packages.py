"""What a package of a channel, and each file of it, has of vulnerabilities: answer, score, status and how many."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from packhouse.catalog.vulnerabilities import affected, reading
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.core.db import Database
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.scores import headline_of_package
from packhouse.security.vulnerabilities.statements import most_severe
from packhouse.workflows.vulnerabilities.knowledge import Answer, Knowledge, answer, knowledge, mapped_names
from packhouse.workflows.vulnerabilities.statuses import judge

Finding = tuple[Status, int | None]  # status and score in tenths


class Standing(msgspec.Struct, frozen=True):
    """How a file or a package stands. The score is in tenths; None: nothing was found, or nobody rated it."""

    answer: Answer
    score: int | None
    status: Status | None  #: the worst; None: nothing was found
    count: int  #: of different vulnerabilities


class PackageStanding(msgspec.Struct, frozen=True):
    """How a package of a channel stands, and its files by the number of their entry; others have no finding."""

    whole: Standing
    files: dict[int, Standing]
    without: Standing  #: every other file
    knowledge: Knowledge

    def of(self, entry_id: int) -> Standing:
        """Return how a file stands, by the number of its entry."""
        return self.files.get(entry_id, self.without)


async def standing(db: Database, scope: Scope, family: str, name: str) -> PackageStanding:
    """Return how a package stands in the files of a scope."""
    rows = await affected.files(db, scope.narrowed(family, name))
    known = await reading.by_ids(db, {row.vulnerability_id for row in rows})
    mapped = name in await mapped_names(db, family, [name])
    by_entry: dict[int, list[Finding]] = {}
    numbers: set[int] = set()
    for one in await judge(db, rows, known):
        numbers.add(one.file.vulnerability_id)
        score = known[one.file.vulnerability_id].score
        by_entry.setdefault(one.file.entry_id, []).append((one.status, score))
    every = [finding for found in by_entry.values() for finding in found]
    statuses = {status for status, _ in every}
    return PackageStanding(
        Standing(answer(statuses, mapped), headline_of_package(every), most_severe(statuses), len(numbers)),
        {entry_id: of_file(found, mapped) for entry_id, found in by_entry.items()},
        of_file((), mapped),
        await knowledge(db),
    )


def of_file(found: Iterable[Finding], mapped: bool) -> Standing:
    """Return how one file stands: its score is the highest of all that was found, whatever was said of it."""
    known = list(found)
    statuses = {status for status, _ in known}
    score = max((score for _, score in known if score is not None), default=None)
    return Standing(answer(statuses, mapped), score, most_severe(statuses), len(known))
