"""What administrators say of which name in advisories a package stands for; and what is believed, and why.

A correction has the last word: that a package is what an ecosystem calls so, or that it is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.vulnerabilities import aliases, unjudged
from packhouse.catalog.vulnerabilities.aliases import AliasRow
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.formats.purl import ECOSYSTEMS
from packhouse.security.vulnerabilities.aliases import (
    ANY,
    Alias,
    aliases_of,
    normalised,
    possible_packages,
    resolve,
)
from packhouse.workflows.judging import store
from packhouse.workflows.judging.packages import package_name
from packhouse.workflows.services import Services

CORRECTION = "correction"
_MAX_UPSTREAM = 256
_KNOWN = {name.casefold(): name for name in (*ECOSYSTEMS.values(), "CPE")}


class Link(msgspec.Struct, frozen=True):
    """One thing that is said of a package and a name in an ecosystem."""

    alias: Alias
    believed: bool  #: the two are taken for the same, and this is why
    by: str  #: who said so, or the file it was read from; empty: a map or a rule of ours
    at: int | None  #: microseconds


async def of_package(reader: Reader, family: str, name: str) -> list[Link]:
    """Return all that is said of what a package is elsewhere, and what of it is believed; the package need not exist.

    Raises PackhouseError: `bad_request`, `unsupported_type`.
    """
    return await _links(reader, family, {package_name(family, name)})


async def of_upstream(reader: Reader, ecosystem: str, upstream: str) -> list[Link]:
    """Return all that is said of which packages a name in an ecosystem is, of those that any channel ever had.

    Raises PackhouseError("bad_request").
    """
    ecosystem = await _ecosystem(reader, ecosystem)
    upstream = _upstream(ecosystem, upstream, negative=False)
    told: defaultdict[str, set[str]] = defaultdict(set)
    for row in await aliases.of_upstream(reader, ecosystem, [upstream]):
        told[row.family].add(row.name)
    possible: defaultdict[str, set[str]] = defaultdict(set)
    for family, name in possible_packages(ecosystem, upstream):
        possible[family].add(name)
    for family, names in possible.items():
        told[family].update(await store.versions_of(reader, family, names))
    found = [link for family in sorted(told) for link in await _links(reader, family, told[family])]
    return [one for one in found if one.alias.ecosystem == ecosystem and one.alias.upstream in (upstream, ANY)]


async def correct(
    services: Services, actor: str, family: str, name: str, ecosystem: str, upstream: str, *, negative: bool
) -> tuple[list[Link], list[Link]]:
    """Say that a package is, or with `negative` is not, a name in an ecosystem; `*` there: none of its names.

    It takes the place of what was said of the two before. Return what is said of the package then, and what of it was
    believed before and is no more: a guess by the name, once somebody says what the package is.
    Raises PackhouseError: `bad_request`, `unsupported_type`.
    """
    name, ecosystem = package_name(family, name), await _ecosystem(services.db, ecosystem)
    upstream = _upstream(ecosystem, upstream, negative=negative)

    async def work(unit: Unit) -> None:
        before = _of(await aliases.of_names(unit, family, [name]), ecosystem, upstream)
        if before is not None and before.negative == negative:
            return
        await aliases.drop(unit, family, name, ecosystem, upstream, CORRECTION)
        row = AliasRow(family, name, ecosystem, upstream, CORRECTION, negative, actor, unit.now)
        await aliases.put(unit, [row])
        await _tell(unit, "package_alias_corrected", row, actor)

    formerly = await of_package(services.db, family, name)
    await services.db.write(work)
    now = await of_package(services.db, family, name)
    names = {_elsewhere(one) for one in now if one.believed}
    return now, [one for one in formerly if one.believed and _elsewhere(one) not in names]


async def take_back(services: Services, actor: str, family: str, name: str, ecosystem: str, upstream: str) -> None:
    """Take a correction back: what files, the map and the rules say holds again.

    Raises PackhouseError: `not_found`, `bad_request`, `unsupported_type`.
    """
    name, ecosystem = package_name(family, name), await _ecosystem(services.db, ecosystem)
    upstream = _upstream(ecosystem, upstream, negative=True)

    async def work(unit: Unit) -> None:
        row = _of(await aliases.of_names(unit, family, [name]), ecosystem, upstream)
        if row is None:
            raise PackhouseError(
                "not_found", f"Nobody corrected what {name!r} is in {ecosystem}.", "List what is said of the package."
            )
        await aliases.drop(unit, family, name, ecosystem, upstream, CORRECTION)
        await _tell(unit, "package_alias_correction_removed", row, actor)

    await services.db.write(work)


async def _tell(unit: Unit, kind: str, row: AliasRow, actor: str) -> None:
    data = {"family": row.family, "ecosystem": row.ecosystem, "upstream": row.upstream, "negative": row.negative}
    await record_event(unit, type=kind, actor=actor, object=row.name, data=data)
    await unjudged.add(unit, [(row.family, row.name)])


async def _links(reader: Reader, family: str, names: Iterable[str]) -> list[Link]:
    stored: defaultdict[str, dict[Alias, AliasRow]] = defaultdict(dict)
    for row in await aliases.of_names(reader, family, sorted(names)):
        stored[row.name][_alias(row)] = row
    found: list[Link] = []
    for name in sorted(names):
        rows = stored[name]
        said = sorted({*rows, *aliases_of(family, name)})
        corrections = [one for one in said if one.provenance == CORRECTION]
        believed = set(resolve([one for one in said if one.provenance != CORRECTION], corrections))
        for one in said:
            kept = rows.get(one)
            found.append(Link(one, one in believed, kept.by if kept else "", kept.at if kept else None))
    return found


def _of(rows: Iterable[AliasRow], ecosystem: str, upstream: str) -> AliasRow | None:
    """Return the correction about a name in an ecosystem."""
    asked = (ecosystem, upstream, CORRECTION)
    return next((row for row in rows if (row.ecosystem, row.upstream, row.provenance) == asked), None)


def _elsewhere(one: Link) -> tuple[str, str]:
    return one.alias.ecosystem, one.alias.upstream


def _alias(row: AliasRow) -> Alias:
    return Alias(row.family, row.name, row.ecosystem, row.upstream, row.provenance, row.negative)  # type: ignore[arg-type]  # written by us


async def _ecosystem(reader: Reader, name: str) -> str:
    """Return an ecosystem as advisories spell it."""
    plain = name.strip()
    if known := _KNOWN.get(plain.casefold()):
        return known
    if "\0" not in plain and await aliases.has_ecosystem(reader, plain):
        return plain
    listed = ", ".join(sorted(_KNOWN.values()))
    raise PackhouseError("bad_request", f"`ecosystem`: no advisory is about {plain[:80]!r}.", f"Known are {listed}.")


def _upstream(ecosystem: str, name: str, *, negative: bool) -> str:
    plain = normalised(ecosystem, name)
    if not plain.isprintable() or not 0 < len(plain) <= _MAX_UPSTREAM:
        raise PackhouseError("bad_request", f"`upstream`: {name[:80]!r} is no name.", f"Write it as {ecosystem} does.")
    if plain == ANY and not negative:
        raise PackhouseError("bad_request", "No package is every name of an ecosystem.", "`*` goes with `negative`.")
    return plain
