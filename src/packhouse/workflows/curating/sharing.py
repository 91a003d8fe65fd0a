"""Statements shared with other installations and tools: written as VEX documents, and taken in from such.

A document is taken in whole or not at all; what of it cannot be used is named with the reason. What it says is then
the word of whoever took it in, and yields to what was said here later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from packhouse.catalog.vulnerabilities import curation, feeds
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.merging import Body
from packhouse.security.vulnerabilities.statements import File, Statement
from packhouse.security.vulnerabilities.vex import MAX_BYTES, Form, Skipped, export_vex, import_vex
from packhouse.workflows.curating.curation import USER, Outcome, canonical, compare, place_of, row_of, write
from packhouse.workflows.curating.statement_list import names_of
from packhouse.workflows.judging.sayings import statement_of
from packhouse.workflows.services import Services

#: statements of one document, either way: all are written in one unit, for which every other one waits
MOST = 10_000
_body = msgspec.msgpack.Decoder(Body).decode


class Taken(msgspec.Struct, frozen=True):
    """What became of a document, or would."""

    form: Form
    outcome: Outcome
    skipped: list[Skipped]


async def export_statements(db: Database, given: Mapping[str, Any], form: Form, author: str) -> bytes:
    """Return a document of what is said here.

    `given`: `cve`, `family`, `name`, `channel_id` (only packages it has, and only its files as products),
    `origin` (what users say, unless it is feed or feed:<name>).
    Raises PackhouseError: `not_found` for OpenVEX of nothing, `too_large` beyond what could be taken in again.
    """
    chosen = {"origin": USER, **given}
    channel_id = chosen.get("channel_id")
    if cve := chosen.pop("cve", None):
        chosen["keys"] = sorted(await names_of(db, cve))
    if chosen["origin"] == "feed":
        chosen |= {"feeds": True}
        del chosen["origin"]
    rows, total = await curation.page(db, chosen, limit=MOST, offset=0)
    if total > MOST:
        raise _too_large(f"{total} statements")
    packages: dict[str, set[str]] = {}
    for row in rows:
        packages.setdefault(row.family, set()).add(row.name)
    files: dict[tuple[str, str], list[File]] = {}
    for family, names in packages.items():
        for one in await curation.files(db, family, names, channel_id):
            sha256 = one.sha256.hex() if one.sha256 else ""
            file = File(one.version, one.build, one.build_number, sha256, one.partition)
            files.setdefault((family, one.name), []).append(file)
    aliases = {key: _body(body).aliases for key, body in (await curation.bodies(db, {row.key for row in rows})).items()}
    statements = [statement_of(row) for row in rows]
    now = await db.now()
    document = await asyncio.to_thread(export_vex, statements, files, form, author=author, now=now, aliases=aliases)
    if len(document) > MAX_BYTES:
        raise _too_large(f"{len(document)} bytes")
    return document


async def take_in(services: Services, actor: str, document: bytes, *, dry_run: bool = False) -> Taken:
    """Take in what an OpenVEX or CycloneDX document says; with `dry_run` only tell what would become of it.

    Raises PackhouseError: `bad_request` for what is no VEX document, `too_large`.
    """
    now = await services.db.now()
    imported = await asyncio.to_thread(import_vex, document, origin=USER, now=now)
    if len(imported.statements) > MOST:
        raise PackhouseError(
            "too_large", f"The document has {len(imported.statements)} statements; {MOST} are taken.", "Split it."
        )
    skipped = list(imported.skipped)
    rows = await _rows(services.db, imported.statements, skipped)
    if dry_run:
        outcome = await compare(services.db, rows)
    else:

        async def work(unit: Unit) -> Outcome:
            await feeds.hold_all(unit)
            found = await compare(unit, rows)
            await write(unit, actor, "vex_imported", found, form=imported.form, skipped=len(skipped))
            return found

        outcome = await services.db.write(work)
    skipped += [Skipped(_about(row), "What is said of it here was said later.") for row in outcome.older]
    return Taken(imported.form, outcome, skipped)


async def _rows(db: Database, said: Sequence[Statement], skipped: list[Skipped]) -> list[StatementRow]:
    """Return statements under the keys of their vulnerabilities, one for each place; note what is passed over."""
    names = {canonical(one.vulnerability) for one in said}
    called = await curation.keys_called(db, names) if names else {}
    found: dict[tuple[str, ...], StatementRow] = {}
    for one in sorted(said, key=lambda one: one.at):
        name = canonical(one.vulnerability)
        keys = called.get(name, {name})
        row = row_of(one)._replace(key=min(keys))
        if len(keys) > 1:
            skipped.append(Skipped(_about(row._replace(key=name)), "The name stands for several vulnerabilities."))
            continue
        if before := found.get(place_of(row)):
            skipped.append(Skipped(_about(before), "The document says something else of it later."))
        found[place_of(row)] = row
    return list(found.values())


def _about(row: StatementRow) -> str:
    files: Iterable[str] = (row.spec or row.sha256,)
    return " ".join(("statement on", row.key, "in", row.name, *files)).rstrip()


def _too_large(what: str) -> PackhouseError:
    return PackhouseError(
        "too_large", f"The document would have {what}, more than can be taken in.", "Ask for one channel or package."
    )
