"""What is written of each statement in either form: which files it decides about, as products."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from packhouse.security.vulnerabilities.statements import File, Judgements, Statement
from packhouse.security.vulnerabilities.vex.purls import purl_of_file, purl_of_package


class Item(NamedTuple):
    """One product: its purl, its version and the SHA-256 of its file ("": not known)."""

    purl: str
    version: str
    sha256: str


class Outgoing(NamedTuple):
    """One statement with the products it decides about and the other names of its vulnerability."""

    statement: Statement
    products: list[Item]
    aliases: list[str]


def outgoing(
    statements: Iterable[Statement],
    files: Mapping[tuple[str, str], Sequence[File]],
    aliases: Mapping[str, Sequence[str]],
) -> list[Outgoing]:
    """Return each distinct statement, in order of package, vulnerability and time."""
    by_package: dict[tuple[str, str], list[Statement]] = {}
    for one in sorted(set(statements), key=_order):
        by_package.setdefault((one.family, one.name), []).append(one)
    return [
        Outgoing(one, _products(one, files.get(package, ()), decided), sorted(set(aliases.get(one.vulnerability, ()))))
        for package, found in by_package.items()
        for one, decided in _decided(package, found, files.get(package, ()), aliases)
    ]


def document_uuid(made: Sequence[Outgoing], now: int) -> str:
    """Return a name for the document that depends on nothing but what it says."""
    said = msgspec.json.encode([now, [(one.statement, one.products) for one in made]])
    return str(uuid.uuid5(uuid.NAMESPACE_URL, said.decode()))


def _decided(
    package: tuple[str, str],
    statements: Sequence[Statement],
    files: Sequence[File],
    aliases: Mapping[str, Sequence[str]],
) -> Iterable[tuple[Statement, list[File]]]:
    """Yield each statement about a package with the files in which it, and no other, says what counts."""
    judgements = Judgements(*package, statements)
    by_vulnerability: dict[str, dict[Statement | None, list[File]]] = {}
    for name in {one.vulnerability for one in statements}:
        groups = by_vulnerability.setdefault(name, {})
        judged = judgements.statuses(name, aliases.get(name, ()), files)
        for file, (_, by) in zip(files, judged, strict=True):
            groups.setdefault(by, []).append(file)
    for one in statements:
        yield one, by_vulnerability[one.vulnerability].get(one, [])


def _products(one: Statement, known: Sequence[File], decided: Sequence[File]) -> list[Item]:
    if not decided:
        return [Item(purl_of_package(one, known=bool(known)), "", "")]
    return sorted({Item(purl_of_file(one, file), file.version, file.sha256) for file in decided})


def _order(one: Statement) -> tuple[str, ...]:
    return (one.family, one.name, one.vulnerability, f"{one.at:020}", one.origin, one.status, one.spec, one.sha256)
