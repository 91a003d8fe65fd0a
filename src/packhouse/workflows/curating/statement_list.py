"""The list of everything that is said of vulnerabilities in files: by users, by feeds, and by builders of packages.

What users and feeds say are rows. What a builder says stands in the package (info/security.json) and is read from
there, for the packages a question is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from packhouse.catalog.vulnerabilities import curation, records
from packhouse.catalog.vulnerabilities.curation import Told
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.db import Database
from packhouse.security.vulnerabilities.builder import builder_statements
from packhouse.security.vulnerabilities.merging import Body
from packhouse.workflows.curating.curation import canonical, known_keys, row_of

BUILDER = "builder"


class _Facts(msgspec.Struct):
    security: dict[str, Any] = {}


_facts = msgspec.json.Decoder(_Facts).decode
_body = msgspec.msgpack.Decoder(Body).decode


async def list_statements(
    db: Database, given: Mapping[str, Any], *, limit: int, offset: int
) -> tuple[list[StatementRow], int]:
    """Return a page of statements and how many there are in all: rows oldest first, then those of builders.

    `given`: `cve` (any name of a vulnerability), `family`, `name`, `status`, `origin` (user, feed, feed:<name>,
    builder), `sha256`, `author`, `channel_id`. Builders are asked where a package is named, or a vulnerability that was
    found in some; their statements have the number 0.
    Raises PackhouseError("conflict") for a name of several vulnerabilities.
    """
    given = dict(given)
    name = given.pop("cve", None)
    names = await names_of(db, name) if name is not None else set()
    origin = given.get("origin", "")
    chosen = {**given, **({"keys": sorted(names)} if names else {})}
    if origin == "feed":
        chosen |= {"feeds": True}
        del chosen["origin"]
    rows, total = ([], 0) if origin == BUILDER else await curation.page(db, chosen, limit=limit, offset=offset)
    if origin not in ("", BUILDER) or given.get("author"):
        return rows, total
    built = [row for row in await _of_builders(db, given, names) if _passes(row, given, names)]
    start = max(offset - total, 0)
    return [*rows, *built[start : start + limit - len(rows)]], total + len(built)


async def names_of(db: Database, name: str) -> set[str]:
    """Return every name of a vulnerability: statements may go by any of them.

    Raises PackhouseError("conflict") for a name of several.
    """
    key = (await known_keys(db, [name]))[name]
    bodies = await curation.bodies(db, [key])
    return {key, canonical(name), *(_body(bodies[key]).aliases if key in bodies else ())}


async def _of_builders(db: Database, given: Mapping[str, Any], names: Iterable[str]) -> list[StatementRow]:
    if "name" in given:
        packages = {(given.get("family", "conda"), given["name"])}
    elif names:
        packages = set(await records.affected(db, sorted(names)))
    else:
        return []
    by_family: dict[str, set[str]] = {}
    for family, name in packages:
        by_family.setdefault(family, set()).add(name)
    told = [(family, one) for family, of in by_family.items() for one in await curation.told(db, family, of)]
    return await asyncio.to_thread(_read, told)


def _read(told: Iterable[tuple[str, Told]]) -> list[StatementRow]:
    found = [
        row_of(statement)
        for family, one in told
        for statement in builder_statements(_facts(one.facts).security, family, one.name, one.sha256.hex(), one.at)
    ]
    return sorted(found, key=lambda row: (row.family, row.name, row.key, row.sha256))


def _passes(row: StatementRow, given: Mapping[str, Any], names: set[str]) -> bool:
    if names and row.key not in names:
        return False
    return all(getattr(row, key) == given[key] for key in ("family", "name", "status", "sha256") if key in given)
