"""From advisories to findings: which vulnerability affects which version of a package, once for all channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from packhouse.catalog.vulnerabilities import aliases, findings, unjudged
from packhouse.catalog.vulnerabilities.aliases import AliasRow
from packhouse.catalog.vulnerabilities.findings import Found
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.security.vulnerabilities.aliases import Alias, Origin, aliases_of, resolve
from packhouse.security.vulnerabilities.matching import Evidence, match
from packhouse.workflows.judging import store

_decode = msgspec.msgpack.Decoder(Advisory).decode
#: advisories that are kept decoded: a row never changes, and its number is never given again
_KEPT = 20_000

Upstream = tuple[str, str]  # ecosystem and name of a package in advisories
Origins = Mapping[str, Collection[Origin]]
NOTHING_OFFERED: Origins = MappingProxyType({})


class _Affected(NamedTuple):
    name: str
    version: str
    key: str  # of the vulnerability
    advisory_id: int
    fixed_in: str
    evidence: str


async def upstream_of(
    reader: Reader, family: str, names: Collection[str], origins: Origins = NOTHING_OFFERED
) -> dict[str, list[Alias]]:
    """Return for each package what it is called in advisories.

    `origins`, by name, are what files say that nobody has here; what ours say is kept.
    """
    evidence: defaultdict[str, list[Alias]] = defaultdict(list)
    corrections: defaultdict[str, list[Alias]] = defaultdict(list)
    for row in await aliases.of_names(reader, family, names):
        (corrections if row.provenance == "correction" else evidence)[row.name].append(_alias(row))
    return {
        name: resolve([*aliases_of(family, name, origins.get(name, ())), *evidence[name]], corrections[name])
        for name in names
    }


async def learn(unit: Unit, family: str, versions: Mapping[str, Collection[str]]) -> list[Found]:
    """Add what advisories say now of these versions of packages to what was found before; return what is new of it."""
    found = await look_up(unit, family, versions)
    before = {_what(one) for one in await findings.of_names(unit, family, versions)} if found else set()
    new = [one for one in found if _what(one) not in before]
    await findings.add(unit, new)
    return new


async def learn_anew(unit: Unit, family: str, names: Collection[str]) -> list[Found]:
    """Let what advisories say now of all versions of packages be what was found; return what is new of it.

    A package of which something is taken away is looked at once more: who brings a file at this moment still sees it,
    and judges by it, or adds nothing to it where we see nobody who has that version.
    """
    # first, so that what a file that comes meanwhile is found to have is not taken for past
    before = {_what(one): one for one in await findings.of_names(unit, family, names)}
    found = await look_up(unit, family, await store.versions_of(unit, family, names))
    now = {_what(one): one for one in found}
    gone = [one for what, one in before.items() if now.get(what) != one]
    await unjudged.add(unit, [(family, one.name) for one in gone if _what(one) not in now])
    await findings.replace(unit, gone, [one for what, one in now.items() if before.get(what) != one])
    return [one for what, one in now.items() if what not in before]


async def look_up(
    reader: Reader, family: str, versions: Mapping[str, Collection[str]], origins: Origins = NOTHING_OFFERED
) -> list[Found]:
    """Return what advisories say now of these versions of packages, whether anybody here has files of them or not."""
    named = await store.ecosystems(reader)
    if not named:
        return []
    upstream = {
        name: {(alias.ecosystem, alias.upstream) for alias in said if alias.ecosystem in named}
        for name, said in (await upstream_of(reader, family, versions, origins)).items()
    }
    about = await _advisories_about(reader, {pair for pairs in upstream.values() for pair in pairs})
    found: list[_Affected] = []
    for name, pairs in upstream.items():
        said = {number: advisory for pair in pairs for number, advisory in about.get(pair, {}).items()}
        if said:
            found += _of_package(name, list(said.items()), pairs, sorted(versions[name]), family)
    ids = await findings.ids_of(reader, {one.key for one in found})
    # of a vulnerability that has no row yet, whoever gives it one lets the names be judged again
    return [
        Found(family, one.name, one.version, ids[one.key], one.advisory_id, one.fixed_in, one.evidence)
        for one in found
        if one.key in ids
    ]


def _of_package(
    name: str, said: Sequence[tuple[int, Advisory]], pairs: Collection[Upstream], versions: Sequence[str], family: str
) -> list[_Affected]:
    """Return what affects a package, each version and vulnerability once."""
    found: dict[tuple[str, str], _Affected] = {}
    for one in match([advisory for _, advisory in said], pairs, versions, family):
        version = versions[one.version]
        for key in one.keys:
            if (version, key) not in found:
                evidence = _in_words(one.evidence)
                found[version, key] = _Affected(name, version, key, said[one.advisory][0], one.fixed_in or "", evidence)
    return list(found.values())


async def _advisories_about(reader: Reader, pairs: Collection[Upstream]) -> dict[Upstream, dict[int, Advisory]]:
    by_ecosystem: defaultdict[str, set[str]] = defaultdict(set)
    for ecosystem, name in pairs:
        by_ecosystem[ecosystem].add(name)
    found: defaultdict[Upstream, dict[int, Advisory]] = defaultdict(dict)
    for held in await findings.advisories_about(reader, by_ecosystem):
        found[held.ecosystem, held.name][held.id] = _advisory(held.id, bytes(held.body))
    return found


@lru_cache(maxsize=_KEPT)
def _advisory(number: int, body: bytes) -> Advisory:
    return _decode(body)


def _in_words(evidence: Evidence) -> str:
    """Return what says that a version is affected, for people: `PyPI/django >=3.2 <3.2.5`."""
    where = f"{evidence.ecosystem}/{evidence.name}"
    if evidence.listed:
        return f"{where} lists {evidence.listed}"
    start = "" if evidence.introduced in ("", "0") else f" >={evidence.introduced}"
    if evidence.end is None:
        return f"{where}{start or ' every version'}"
    sign = "<=" if evidence.end.kind == "last_affected" else "<"
    return f"{where}{start} {sign}{evidence.end.version}"


def _what(one: Found) -> tuple[str, str, int]:
    return one.name, one.version, one.vulnerability_id


def _alias(row: AliasRow) -> Alias:
    return Alias(row.family, row.name, row.ecosystem, row.upstream, row.provenance, row.negative)  # type: ignore[arg-type]  # written by us
