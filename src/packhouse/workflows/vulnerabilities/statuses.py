"""Which status a vulnerability has in each file: what a feed reports, or what somebody says of it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from packhouse.catalog.vulnerabilities.affected import AffectedFile
from packhouse.catalog.vulnerabilities.reading import VulnerabilityRow
from packhouse.core.db import Database
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.merging import Body
from packhouse.security.vulnerabilities.statements import File, Judgements, Statement
from packhouse.workflows.judging.sayings import said_of

_body = msgspec.msgpack.Decoder(Body).decode

Package = tuple[str, str]  # family and name


class Judged(NamedTuple):
    """A vulnerability in a file, and what it is there."""

    file: AffectedFile
    status: Status
    statement: Statement | None  #: that says so; None: nobody judged


def body_of(row: VulnerabilityRow) -> Body:
    """Return what people read of a vulnerability."""
    return _body(row.body)


async def judge(db: Database, rows: Sequence[AffectedFile], known: Mapping[int, VulnerabilityRow]) -> list[Judged]:
    """Return files with the status of their vulnerability, in their order, without those of none in `known`.

    What nobody knows any more waits to be judged anew.
    """
    rows = [row for row in rows if row.vulnerability_id in known]
    groups: defaultdict[tuple[Package, int], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[(row.family, row.name), row.vulnerability_id].append(index)
    judgements = await judgements_about(db, {(row.family, row.name) for row in rows}, rows)
    aliases = {number: body_of(row).aliases for number, row in known.items()}
    found = [Judged(row, "reported", None) for row in rows]
    for (package, number), indices in groups.items():
        if package in judgements:
            files = [_asked(rows[index]) for index in indices]
            about = known[number]
            words = judgements[package].statuses(about.key, aliases[number], files, malware=about.kind == "malware")
            for index, word in zip(indices, words, strict=True):
                found[index] = Judged(rows[index], *word)
    return found


async def judgements_about(
    db: Database, packages: Collection[Package], rows: Sequence[AffectedFile] = ()
) -> dict[Package, Judgements]:
    """Return what users and feeds say of packages, and builders of `rows`, compiled; without those nobody speaks of."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for family, name in packages:
        names[family].add(name)
    found: dict[Package, Judgements] = {}
    for family, of_family in names.items():
        files = [row for row in rows if row.family == family]
        for name, told in (await said_of(db, family, sorted(of_family), files)).items():
            found[family, name] = Judgements(family, name, told)
    return found


def _asked(file: AffectedFile) -> File:
    return File(file.version, file.build, file.build_number, bytes(file.sha256 or b"").hex(), file.partition)
