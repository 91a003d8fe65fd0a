"""What users, feeds and builders say of packages and their files, read together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Protocol

from packhouse.catalog.packages import contents
from packhouse.catalog.vulnerabilities import statements
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.db.base import Reader
from packhouse.security.vulnerabilities.builder import builder_statements
from packhouse.security.vulnerabilities.statements import Statement


class Built(Protocol):
    """A file of which the builder may say something, as lists of files have it."""

    @property
    def name(self) -> str:
        """The package."""

    @property
    def content_id(self) -> int | None:
        """The bytes, if anybody fetched them."""

    @property
    def sha256(self) -> bytes | None:
        """Of the bytes, or as the record claims."""

    @property
    def timestamp(self) -> int | None:
        """When it was built (µs), as its source claims."""

    @property
    def judged_by_builder(self) -> bool:
        """Whether it has an info/security.json."""


async def said_of(
    reader: Reader, family: str, names: Collection[str], files: Iterable[Built] = ()
) -> dict[str, list[Statement]]:
    """Return what users and feeds say of packages of a family, and builders of `files`, by package."""
    said: defaultdict[str, list[Statement]] = defaultdict(list)
    for row in await statements.of_names(reader, family, names):
        said[row.name].append(statement_of(row))
    built = {one.content_id: one for one in files if one.judged_by_builder and one.content_id is not None}
    for content_id, facts in (await contents.facts_of_many(reader, sorted(built))).items():
        file = built[content_id]
        sha256 = bytes(file.sha256 or b"").hex()
        said[file.name] += builder_statements(facts.security, family, file.name, sha256, file.timestamp or 0)
    return {name: told for name, told in said.items() if told}


def statement_of(row: StatementRow) -> Statement:
    """Return a stored statement as rules read it."""
    return Statement(
        row.key, row.family, row.name, row.status,  # type: ignore[arg-type]  # checked before it was stored
        spec=row.spec, sha256=row.sha256, note=row.note, author=row.author, at=row.at, origin=row.origin,
    )  # fmt: skip
