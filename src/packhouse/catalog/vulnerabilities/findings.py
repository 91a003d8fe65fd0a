"""Queries of findings: which vulnerability affects which version of a package, whatever channels hold it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from packhouse.catalog import changes
from packhouse.catalog.judgement_tables import (
    advisory,
    advisory_name,
    feed,
    finding,
    vulnerability,
)
from packhouse.catalog.vulnerabilities.advisories import current
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class Found(NamedTuple):
    """A vulnerability affects one version of a package."""

    family: str
    name: str
    version: str
    vulnerability_id: int
    advisory_id: int  #: that says so
    fixed_in: str  #: the nearest version above that is not affected; empty: none is known
    evidence: str  #: the range or the version that holds it, for people


class Vulnerability(NamedTuple):
    """What rules ask of a vulnerability."""

    id: int
    key: str
    kind: str  #: vulnerability | malware
    score: int | None  #: tenths
    exploited: bool
    body: bytes


class Held(NamedTuple):
    """An advisory as it holds now, with one of the names it is about."""

    ecosystem: str
    name: str
    id: int
    body: bytes  #: msgpack of security.vulnerabilities.advisory.Advisory


_NOW = current(feed.c.run)
_ABOUT = (
    select(advisory_name.c.ecosystem, advisory_name.c.name, advisory.c.id, advisory.c.body)
    .select_from(
        advisory_name.join(advisory, advisory.c.id == advisory_name.c.advisory_id).join(
            feed, feed.c.id == advisory.c.feed_id
        )
    )
    .where(advisory_name.c.ecosystem == bindparam("ecosystem"), any_of(advisory_name.c.name, "names"), *_NOW)
    .order_by(advisory.c.id)
)
_ANYTHING = (
    select(advisory_name.c.name)
    .select_from(
        advisory_name.join(advisory, advisory.c.id == advisory_name.c.advisory_id).join(
            feed, feed.c.id == advisory.c.feed_id
        )
    )
    .where(advisory_name.c.ecosystem == bindparam("ecosystem"), *_NOW)
    .limit(1)
)
_IDS = select(vulnerability.c.key, vulnerability.c.id).where(any_of(vulnerability.c.key, "keys"))
_OF_NAMES = select(*(finding.c[name] for name in Found._fields)).where(
    finding.c.family == bindparam("family"), any_of(finding.c.name, "names")
)
_VERSIONS = (
    select(finding.c.name, finding.c.version)
    .distinct()
    .where(finding.c.family == bindparam("family"), any_of(finding.c.name, "names"))
)
_OF_VERSIONS = _OF_NAMES.where(any_of(finding.c.version, "versions"))
_ANY_OF_FAMILY = select(finding.c.name).where(finding.c.family == bindparam("family")).limit(1)
_OF_VULNERABILITY = (
    select(*(finding.c[name] for name in Found._fields))
    .where(finding.c.vulnerability_id == bindparam("vulnerability_id"))
    .order_by(finding.c.family, finding.c.name, finding.c.version)
)
_EXPLOITED = (
    select(finding.c.version)
    .distinct()
    .join_from(finding, vulnerability, vulnerability.c.id == finding.c.vulnerability_id)
    .where(finding.c.family == bindparam("family"), finding.c.name == bindparam("name"), vulnerability.c.exploited)
)
_VULNERABILITIES = select(*(vulnerability.c[name] for name in Vulnerability._fields)).where(
    any_of(vulnerability.c.id, "ids")
)
_KEY = ("family", "name", "version", "vulnerability_id")
_DROP = delete(finding).where(*(finding.c[name] == bindparam(name) for name in _KEY))
_PUT = """INSERT INTO finding (family, name, version, vulnerability_id, advisory_id, fixed_in, evidence)
 VALUES (:family, :name, :version, :vulnerability_id, :advisory_id, :fixed_in, :evidence)
 ON CONFLICT (family, name, version, vulnerability_id) DO NOTHING"""


async def advisories_about(reader: Reader, upstream: Mapping[str, Collection[str]]) -> list[Held]:
    """Return the advisories that hold now about names, given by ecosystem; one of two names is there twice."""
    found = []
    for ecosystem, names in upstream.items():
        rows = await reader.fetch_all(_ABOUT, ecosystem=ecosystem, names=list(names))
        found += [Held(*row) for row in rows]
    return found


async def says_anything(reader: Reader, ecosystem: str) -> bool:
    """Say whether any feed says anything of an ecosystem now."""
    return await reader.fetch_one(_ANYTHING, ecosystem=ecosystem) is not None


async def ids_of(reader: Reader, keys: Collection[str]) -> dict[str, int]:
    """Return key → id of the vulnerabilities that are known."""
    return {row[0]: row[1] for row in await reader.fetch_all(_IDS, keys=list(keys))} if keys else {}


async def of_names(reader: Reader, family: str, names: Collection[str]) -> list[Found]:
    """Return everything found about packages of a family."""
    return [Found(*row) for row in await reader.fetch_all(_OF_NAMES, family=family, names=list(names))]


async def versions_of(reader: Reader, family: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Return (name, version) of packages in which anything was found."""
    return [(row[0], row[1]) for row in await reader.fetch_all(_VERSIONS, family=family, names=list(names))]


async def of_versions(reader: Reader, family: str, names: Collection[str], versions: Collection[str]) -> list[Found]:
    """Return everything found about these versions of packages of a family."""
    asked = {"family": family, "names": list(names), "versions": list(versions)}
    return [Found(*row) for row in await reader.fetch_all(_OF_VERSIONS, **asked)]


async def any_of_family(reader: Reader, family: str) -> bool:
    """Say whether anything was found in packages of a family."""
    return await reader.fetch_one(_ANY_OF_FAMILY, family=family) is not None


async def of_vulnerability(reader: Reader, vulnerability_id: int) -> list[Found]:
    """Return the versions in which a vulnerability was found."""
    return [Found(*row) for row in await reader.fetch_all(_OF_VULNERABILITY, vulnerability_id=vulnerability_id)]


async def exploited(reader: Reader, family: str, name: str) -> set[str]:
    """Return the versions of a package in which something was found that is known to be exploited."""
    return {row[0] for row in await reader.fetch_all(_EXPLOITED, family=family, name=name)}


async def vulnerabilities(reader: Reader, ids: Collection[int]) -> dict[int, Vulnerability]:
    """Return vulnerabilities by id."""
    rows = await reader.fetch_all(_VULNERABILITIES, ids=list(ids)) if ids else []
    return {row[0]: Vulnerability(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows}


async def add(unit: Unit, rows: Sequence[Found]) -> None:
    """Add to what was found; what is known stays as it is."""
    await replace(unit, (), rows)


async def replace(unit: Unit, gone: Sequence[Found], new: Sequence[Found]) -> None:
    """Take away what is not found any more, or is found otherwise, then add what is new."""
    if gone or new:
        await unit.execute_many(_DROP, (one._asdict() for one in gone))
        await unit.execute_many(_PUT, (one._asdict() for one in new))
        await changes.note(unit, "judgement")
