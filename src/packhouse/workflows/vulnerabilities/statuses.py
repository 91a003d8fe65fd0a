"""Which status a vulnerability has in each file: what a feed reports, or what somebody says of it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from packhouse.catalog.packages import contents
from packhouse.catalog.vulnerabilities import statements
from packhouse.catalog.vulnerabilities.affected import AffectedFile
from packhouse.catalog.vulnerabilities.reading import VulnerabilityRow
from packhouse.core.db import Database
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.builder import builder_statements
from packhouse.security.vulnerabilities.merging import Body
from packhouse.security.vulnerabilities.statements import File, Judgements, Statement
from packhouse.workflows.judging.knowing import statement_of

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
    said: defaultdict[Package, list[Statement]] = defaultdict(list)
    for family, of_family in names.items():
        for told in await statements.of_names(db, family, sorted(of_family)):
            said[family, told.name].append(statement_of(told))
    for package, built in await _of_builders(db, rows):
        said[package] += built
    return {package: Judgements(*package, told) for package, told in said.items() if told}


async def _of_builders(db: Database, rows: Iterable[AffectedFile]) -> list[tuple[Package, list[Statement]]]:
    built = {row.content_id: row for row in rows if row.judged_by_builder and row.content_id is not None}
    told = []
    for content_id, facts in (await contents.facts_of_many(db, sorted(built))).items():
        row = built[content_id]
        sha256 = bytes(row.sha256 or b"").hex()
        said = builder_statements(facts.security, row.family, row.name, sha256, row.timestamp or 0)
        told.append(((row.family, row.name), said))
    return told


def _asked(file: AffectedFile) -> File:
    return File(file.version, file.build, file.build_number, bytes(file.sha256 or b"").hex(), file.partition)
