"""Vulnerabilities as people look for them: all there are, or those in the files of a channel, a package or one file.

How many files have one, and in which status, is asked of the database; only where somebody said something is it
found out file by file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from packhouse.catalog.vulnerabilities import affected, reading, statements
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.catalog.vulnerabilities.reading import VulnerabilityRow
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.merging import Body
from packhouse.security.vulnerabilities.statements import most_severe
from packhouse.workflows.vulnerabilities.statuses import Judged, body_of, judge


class Cve(msgspec.Struct, frozen=True):
    """A vulnerability, and how many of the files that are looked at have it."""

    row: VulnerabilityRow
    body: Body
    packages: int
    files: int
    statuses: Mapping[Status, int]  #: files by status; not those of none

    @property
    def status(self) -> Status | None:
        """The worst status it has in any file; None when no file has it."""
        return most_severe(self.statuses)


async def list_cves(
    db: Database,
    seen: Scope,
    given: Mapping[str, Any],
    *,
    affecting: bool = True,
    status: Status | None = None,
    sort: str = "latest",
    limit: int,
    offset: int,
) -> tuple[list[Cve], int]:
    """Return a page of vulnerabilities and how many there are in all, with the files of `seen` counted.

    `affecting`: only those found in files of `seen`; with `status`, in that status there. `given` as of
    `reading.vulnerabilities`. Raises PackhouseError("bad_request") for an unknown order.
    """
    chosen = dict(given)
    if status is not None:
        chosen["ids"] = sorted(await _in_status(db, seen, status))
    elif affecting:
        chosen["ids"] = sorted(await affected.everything(db, seen))
    rows, total = await reading.vulnerabilities(db, chosen, sort=sort, limit=limit, offset=offset)
    return await _counted(db, seen, rows), total


async def find_cve(db: Database, seen: Scope, name: str) -> Cve:
    """Return a vulnerability by its key, or what a feed calls it. Raises PackhouseError("not_found")."""
    return (await _counted(db, seen, [await find(db, name)]))[0]


async def find(db: Database, name: str) -> VulnerabilityRow:
    """Return what feeds say of a vulnerability. Raises PackhouseError("not_found")."""
    row = await reading.by_name(db, name.strip().replace("\0", ""))
    if row is None:
        raise PackhouseError(
            "not_found", f"No feed says anything of {name[:80]!r}.", "Search `/api/cves?cve=…`, or look at the feeds."
        )
    return row


async def cve_files(
    db: Database, seen: Scope, row: VulnerabilityRow, status: Status | None, *, limit: int, offset: int
) -> tuple[list[Judged], int]:
    """Return a page of the files that have a vulnerability, by place, and how many there are in all."""
    known = {row.id: row}
    if status is None:
        page = await affected.page(db, seen, row.id, limit, offset) if limit else []
        counts = await affected.counts(db, seen, [row.id])
        return await judge(db, page, known), counts.get(row.id, (0, 0))[1]
    total = 0
    found: list[Judged] = []
    async for batch in affected.stream(db, seen, [row.id], order="place"):
        for one in await judge(db, batch, known):
            if one.status == status:
                found += [one] if offset <= total < offset + limit else []
                total += 1
    return found, total


async def _counted(db: Database, seen: Scope, rows: Sequence[VulnerabilityRow]) -> list[Cve]:
    bodies = {row.id: body_of(row) for row in rows}
    counts = await affected.counts(db, seen, list(bodies))
    judged = await _statuses(db, seen, await _spoken_of(db, seen, [row for row in rows if row.id in counts], bodies))
    found = []
    for row in rows:
        packages, files = counts.get(row.id, (0, 0))
        unjudged: dict[Status, int] = {"reported": files} if files else {}
        found.append(Cve(row, bodies[row.id], packages, files, judged.get(row.id, unjudged)))
    return found


async def _spoken_of(
    db: Database, seen: Scope, rows: Sequence[VulnerabilityRow], bodies: Mapping[int, Body]
) -> set[int]:
    """Return those of which somebody says something in some files, under any of their names."""
    names = {name: row.id for row in rows for name in (row.key, *bodies[row.id].aliases)}
    said = {one.key for one in await statements.of_keys(db, sorted(names))}
    numbers = {row.id for row in rows if said & {row.key, *bodies[row.id].aliases}}
    return numbers | await affected.built(db, seen, [row.id for row in rows])


async def _in_status(db: Database, seen: Scope, status: Status) -> set[int]:
    """Return the vulnerabilities that have a status in a file of a scope."""
    spoken_of = await reading.stated(db) | await affected.built(db, seen)
    found = {number for number, counts in (await _statuses(db, seen, spoken_of)).items() if counts.get(status)}
    if status == "reported":
        found |= await affected.everything(db, seen) - spoken_of
    return found


async def _statuses(db: Database, seen: Scope, ids: Collection[int]) -> dict[int, Counter[Status]]:
    """Return by vulnerability how many files have it in which status, file by file."""
    counts: defaultdict[int, Counter[Status]] = defaultdict(Counter)
    known = await reading.by_ids(db, ids)
    if not known:
        return counts
    async for batch in affected.stream(db, seen, sorted(known)):
        for one in await judge(db, batch, known):
            counts[one.file.vulnerability_id][one.status] += 1
    return counts
