"""Which names in advisory ecosystems a package stands for, and why we think so.

An advisory is about a name of PyPI, CRAN, Bitnami and the like; a channel has packages of its own names. An *alias*
ties the two, with its provenance. What has no alias into an ecosystem that we have advisories of is *unknown*, never
clean. All here is pure: whoever keeps aliases hands in the evidence, and the corrections of administrators.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

import msgspec

from packhouse.formats.purl import upstream as named_by

#: why an alias is believed, the strongest first. `itself`: the ecosystem's own packages. `correction`: an administrator
Provenance = Literal["correction", "itself", "purl", "contents", "recipe", "map", "convention"]
STRENGTH: tuple[Provenance, ...] = ("correction", "itself", "purl", "contents", "recipe", "map", "convention")
#: as the upstream of a negative: no name of that ecosystem at all
ANY = "*"
#: a family whose packages are those of an ecosystem
_OWN = {"python": "PyPI", "cran": "CRAN", "conda": "conda"}
#: advisories of conda packages by their own name are few and never complete: having none says nothing
_NEVER_COMPLETE = frozenset(("conda",))
#: what conda packages of R are called
_PREFIXES = {"CRAN": "r-", "Bioconductor": "bioconductor-"}
_DATA = Path(__file__).with_name("known_names.json")
_RELEASE = re.compile(r"v?(?:\d+!)?(\d{1,9}(?:\.\d{1,9})*)(.*)", re.IGNORECASE | re.DOTALL)


class Alias(msgspec.Struct, frozen=True, order=True):
    """A package (family, name) is, or with `negative` is not, what advisories call (ecosystem, upstream)."""

    family: str
    name: str
    ecosystem: str  #: as OSV spells it
    upstream: str  #: as `normalised` writes it; `ANY` in a negative
    provenance: Provenance
    negative: bool = False


class Origin(msgspec.Struct, frozen=True):
    """What one file of a package says of its origin: part of its record, and of its facts where we have its bytes."""

    version: str = ""
    depends: tuple[str, ...] = ()  #: names of packages
    purls: tuple[str, ...] = ()  #: of the record
    sources: tuple[str, ...] = ()  #: purls of what recipe and description name
    distributions: tuple[tuple[str, str, str], ...] = ()  #: (ecosystem, name, version or "")


class KnownNames(msgspec.Struct, frozen=True, rename={"is_": "is"}):
    """The map we maintain: ecosystem -> conda name -> names there; what a package is, and what it only seems to be."""

    comment: str
    is_: dict[str, dict[str, tuple[str, ...]]]
    is_not: dict[str, dict[str, tuple[str, ...]]]


@cache
def known_names() -> KnownNames:
    """Return the map that ships with the program."""
    return msgspec.json.decode(_DATA.read_bytes(), type=KnownNames)


def normalised(ecosystem: str, name: str) -> str:
    """Return a name as all spellings of it in that ecosystem are written here.

    PyPI by PEP 503; all others in lower case: none of them has two names that differ in nothing else.
    """
    name = name.strip().lower()
    return re.sub(r"[-_.]+", "-", name) if ecosystem == "PyPI" else name


def origin_of(record: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> Origin:
    """Return what an index record says of a file's origin and, where we have its bytes, the stored facts of it.

    Both are JSON objects. What has not the type it should is passed over: a record of a mirror may hold anything.
    """
    facts = facts or {}
    version = record.get("version")
    listed = facts.get("distributions")
    known = tuple(tuple(one) for one in listed if _is_triple(one)) if isinstance(listed, (list, tuple)) else ()
    return Origin(
        version=version if isinstance(version, str) else "",
        depends=tuple(_dependency(text) for text in _texts(record.get("depends"))),
        purls=_texts(record.get("purls")),
        sources=_texts(facts.get("sources")),
        distributions=known,
    )


def aliases_of(family: str, name: str, origins: Iterable[Origin] = ()) -> list[Alias]:
    """Return all that is said of a package's names elsewhere, sorted: positives and negatives, not yet weighed.

    `origins` are those of its files. That a name is the same is a guess, which what a file says of itself never takes
    away: who builds a file could tell it away from its advisories. Only the map and administrators can (`resolve`).
    """
    said: set[tuple[str, str, Provenance, bool]] = set()
    if own := _OWN.get(family):
        said.add((own, normalised(own, name), "itself", False))
    if family == "conda":
        said |= _by_map(name)
    for one in set(origins):
        said |= {(*known, "purl", False) for known in _named(one.purls)}
        said |= {(*known, "recipe", False) for known in _named(one.sources)}
        said |= {(*known, "contents", False) for known in _by_contents(name, one)}
        if family == "conda":
            said |= {(*known, "convention", False) for known in _by_convention(name, one.depends)}
    return sorted(Alias(family, name, *known) for known in said)


def resolve(aliases: Iterable[Alias], corrections: Iterable[Alias] = ()) -> list[Alias]:
    """Return the aliases to believe, sorted: one, the strongest, for each package and upstream, positives only.

    Of what is said about a package and one upstream the strongest counts, and "is not" before "is" where both are as
    strong; so an administrator's word is the last. A guess by convention counts where neither the map nor an
    administrator knows what the package is in that ecosystem.
    """
    best: dict[tuple[str, str, str, str], Alias] = {}
    barred: dict[tuple[str, str, str], int] = {}
    for one in (*aliases, *corrections):
        package = (one.family, one.name, one.ecosystem)
        if one.upstream == ANY:
            if one.negative:
                barred[package] = min(_rank(one), barred.get(package, _rank(one)))
            continue
        key = (*package, one.upstream)
        if key not in best or (_rank(one), not one.negative) < (_rank(best[key]), not best[key].negative):
            best[key] = one
    held = [one for one in best.values() if not one.negative and _rank(one) < barred.get(_package(one), len(STRENGTH))]
    sure = {_package(one) for one in held if one.provenance in ("correction", "itself", "map")}
    return sorted(one for one in held if one.provenance != "convention" or _package(one) not in sure)


def is_mapped(aliases: Iterable[Alias], covered: Collection[str]) -> bool:
    """Say whether vulnerabilities of a package can be known, by its resolved aliases.

    `covered`: the ecosystems that we have advisories of. Without an alias into one of them it is unknown.
    """
    return any(one.ecosystem in covered and one.ecosystem not in _NEVER_COMPLETE for one in aliases)


def possible_packages(ecosystem: str, upstream: str) -> set[tuple[str, str]]:
    """Return the packages (family, name) that map and conventions could tie to a normalised name in an ecosystem.

    For an advisory that comes in: which packages to look at, besides those that files or administrators tie to it.
    Not all of them need exist, nor are all in the end aliases: that, `resolve` says. With very many separators in a
    name of PyPI only those spellings are told that use one kind of them.
    """
    found = {(family, upstream) for family, own in _OWN.items() if own == ecosystem}
    found |= {("conda", name) for name in _known_for(ecosystem).get(upstream, ())}
    if ecosystem == "PyPI":
        parts = upstream.split("-")
        kinds = product("-_.", repeat=len(parts) - 1) if len(parts) <= 6 else ((mark,) * len(parts) for mark in "-_.")
        found |= {("conda", "".join(map(str.__add__, parts, (*marks, "")))) for marks in kinds}
    elif ecosystem in _PREFIXES:
        found.add(("conda", _PREFIXES[ecosystem] + upstream))
    return found


@cache
def _known_for(ecosystem: str) -> dict[str, list[str]]:
    """Return the map of one ecosystem from the other side: normalised name there -> conda names."""
    found: dict[str, list[str]] = {}
    for name, upstreams in known_names().is_.get(ecosystem, {}).items():
        for upstream in upstreams:
            found.setdefault(normalised(ecosystem, upstream), []).append(name)
    return found


def _rank(alias: Alias) -> int:
    return STRENGTH.index(alias.provenance)


def _package(alias: Alias) -> tuple[str, str, str]:
    return alias.family, alias.name, alias.ecosystem


def _by_map(name: str) -> set[tuple[str, str, Provenance, bool]]:
    known = known_names()
    return {
        (ecosystem, normalised(ecosystem, upstream), "map", negative)
        for table, negative in ((known.is_, False), (known.is_not, True))
        for ecosystem, names in table.items()
        for upstream in names.get(name, ())
    }


def _named(purls: Iterable[str]) -> set[tuple[str, str]]:
    told = {found for purl in purls if (found := named_by(purl))}
    return {(ecosystem, normalised(ecosystem, name)) for ecosystem, name in told}


def _by_contents(name: str, one: Origin) -> set[tuple[str, str]]:
    """Return the distributions in a file that have its version: what it holds of other versions it only carries along.

    A path of R has no version; there the name must be that of the package.
    """
    return {
        (ecosystem, normalised(ecosystem, told))
        for ecosystem, told, version in one.distributions
        if (_same_release(version, one.version) if version else _same_name(ecosystem, told, name))
    }


def _same_name(ecosystem: str, told: str, name: str) -> bool:
    bare = re.sub(r"^(r|bioconductor)-", "", name) if ecosystem == "CRAN" else name
    return normalised(ecosystem, told) == normalised(ecosystem, bare)


def _same_release(one: str, other: str) -> bool:
    """Compare the numbers of two versions: builders write `2.1` for `2.1.0`, and leave off `.post1`."""
    first, second = _RELEASE.fullmatch(one.strip()), _RELEASE.fullmatch(other.strip())
    if first is None or second is None:
        return one == other
    return re.sub(r"(\.0+)+$", "", first[1]) == re.sub(r"(\.0+)+$", "", second[1])


def _by_convention(name: str, depends: Collection[str]) -> set[tuple[str, str]]:
    """Return what a conda package is by its name and what it depends on."""
    for ecosystem, prefix in _PREFIXES.items() if "r-base" in depends else ():
        if name.startswith(prefix):
            return {(ecosystem, normalised(ecosystem, name.removeprefix(prefix)))}
    if "python" in depends or "python_abi" in depends:
        return {("PyPI", normalised("PyPI", name))}
    return set()


def _dependency(spec: str) -> str:
    """Return the package name of a match spec, as far as it is needed to recognise python and r-base."""
    return re.split(r"[\s\[=<>!~]", spec.strip().rpartition("::")[2], maxsplit=1)[0].lower()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, (list, tuple)) else ()


def _is_triple(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(isinstance(text, str) for text in value)
