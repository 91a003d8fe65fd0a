"""A vendor's curated records, as JSON or CSV: what somebody judged of vulnerabilities in packages, or how they rate.

The schema is ours, and every name but `id` may be missing. JSON: a list of objects, an object with such a list under
`advisories`, one object, or one a line. CSV: a header with these names, separated by comma, semicolon or tab; one row
says one thing. Several records of one id are one advisory that says all of it.

| name | value |
| --- | --- |
| `id` | of the vulnerability, for example `CVE-2024-1234` |
| `aliases` | its other names: a list; in CSV separated by spaces |
| `kind` | `vulnerability` (default) or `malware` |
| `family` | of the package: `conda` (default), `python`, … |
| `package` | its name; without one the record is about the vulnerability only |
| `spec` | the version and build of a match spec, `>=3.2,<4 py39_1`; nothing: every file |
| `version`, `build` | exact ones, instead of `spec` |
| `sha256` | of the one file it is about |
| `status` | `active`, `mitigated`, `cleared`, `disputed`, or `reported`, which is the default and no judgement |
| `note` | why |
| `cvss` | vectors: a text (separated by spaces), or a list of texts and `{vector, version, base_score, source}` |
| `score` | 0 to 10, used only where there is no vector |
| `summary`, `description`, `references` | texts; addresses as `aliases` |
| `published`, `modified`, `curated`, `withdrawn` | dates or times, ISO 8601; `curated` is when it was judged |
| `known_exploited` | true or false |
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TypeVar

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory, Kind, Said, Status, Vector
from packhouse.security.vulnerabilities.feeds.reading import (
    Most,
    Notes,
    Refused,
    identifier,
    identifiers,
    links,
    moment,
    package,
    prose,
    rating,
    shown,
    unique,
    word,
)

_Value = TypeVar("_Value")


class _Rating(msgspec.Struct):
    vector: str | None = None
    version: str | None = None
    base_score: float | str | None = None
    source: str | list[str] | None = None


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    # a name that is misspelt would make a statement wider than it was meant, so it is refused
    id: str
    aliases: str | list[str] | None = None
    kind: str | None = None
    family: str | None = None
    package: str | None = None
    spec: str | None = None
    version: str | None = None
    build: str | None = None
    sha256: str | None = None
    status: str | None = None
    note: str | None = None
    cvss: str | list[str | _Rating] | None = None
    score: float | str | None = None
    summary: str | None = None
    description: str | None = None
    references: str | list[str] | None = None
    published: str | None = None
    modified: str | None = None
    curated: str | None = None
    withdrawn: str | None = None
    known_exploited: bool | str | None = None


_decoder = msgspec.json.Decoder(_Record)
#: the columns of the CSV form; the first must be there, others than these are refused
COLUMNS = _Record.__struct_fields__

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_FAMILY = re.compile(r"[a-z][a-z0-9]{0,31}\Z")
_STATUSES: dict[str, Status] = {
    "": "reported",
    "reported": "reported",
    "active": "active",
    "mitigated": "mitigated",
    "cleared": "cleared",
    "disputed": "disputed",
}
_KINDS: dict[str, Kind] = {"": "vulnerability", "vulnerability": "vulnerability", "malware": "malware"}
_TRUTH = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}


def advisory(data: bytes, notes: Notes) -> Advisory:
    """Read one record. Refused, or an error of msgspec, when it cannot be read; `notes` says what was left out."""
    record = _decoder.decode(data)
    own = identifier(record.id)
    aliases = identifiers(_list(record.aliases), own, notes)
    malware = any(name.startswith("MAL-") for name in (own, *aliases))
    curated = moment(record.curated, "curated", notes)
    modified = moment(record.modified, "modified", notes)
    return Advisory(
        id=own,
        kind="malware" if malware else _one_of(_KINDS, record.kind, "kind"),
        aliases=aliases,
        summary=prose(record.summary, Most.SUMMARY),
        description=prose(record.description, Most.DESCRIPTION),
        published_at=moment(record.published, "published", notes),
        modified_at=modified if curated is None else curated,
        withdrawn_at=moment(record.withdrawn, "withdrawn", notes),
        vectors=_vectors(record, notes),
        references=links(_list(record.references)),
        said=_said(record),
        known_exploited=_one_of(_TRUTH, str(record.known_exploited or ""), "known_exploited"),
    )


def merged(records: list[Advisory]) -> Advisory:
    """Return what the records of one id say together: the first text, the latest date of change.

    Refused when that is more than one advisory may say.
    """
    first = records[0]
    if len(records) == 1:
        return first
    said = tuple(dict.fromkeys(chain.from_iterable(one.said for one in records)))
    if len(said) > Most.VERSIONS:
        raise Refused(f"The records of {first.id} say {len(said):,} things; at most {Most.VERSIONS:,} are read.")
    withdrawn = [one.withdrawn_at for one in records]
    return Advisory(
        id=first.id,
        kind="malware" if any(one.kind == "malware" for one in records) else "vulnerability",
        aliases=identifiers(chain.from_iterable(one.aliases for one in records), first.id, Notes()),
        summary=next((one.summary for one in records if one.summary), ""),
        description=next((one.description for one in records if one.description), ""),
        published_at=min((one.published_at for one in records if one.published_at is not None), default=None),
        modified_at=max((one.modified_at for one in records if one.modified_at is not None), default=None),
        # one record that still stands keeps the vulnerability alive
        withdrawn_at=None if None in withdrawn else max(at for at in withdrawn if at is not None),
        vectors=unique(chain.from_iterable(one.vectors for one in records)),
        references=links(chain.from_iterable(one.references for one in records)),
        said=said,
        known_exploited=any(one.known_exploited for one in records),
    )


def _list(given: str | list[str] | None) -> list[str]:
    return given.split() if isinstance(given, str) else given or []


def _one_of(words: dict[str, _Value], given: str | None, what: str) -> _Value:
    found = words.get((given or "").strip().lower())
    if found is None:
        known = ", ".join(sorted(filter(None, words)))
        raise Refused(f"The {what} {shown(given or '')} is none of {known}.")
    return found


def _vectors(record: _Record, notes: Notes) -> tuple[Vector, ...]:
    given = record.cvss.split() if isinstance(record.cvss, str) else record.cvss or []
    found: list[Vector | None] = []
    for one in given:
        if isinstance(one, str):
            found.append(rating(one, "", notes))
            continue
        source = one.source if isinstance(one.source, str) else ",".join(one.source or ())
        source = prose(source[: Most.ID], Most.ID)
        found.append(rating(one.vector, source, notes, score=one.base_score, edition=one.version))
    if not any(found):
        found.append(rating(None, "", notes, score=record.score))
    return unique(found)


def _said(record: _Record) -> tuple[Said, ...]:
    status = _one_of(_STATUSES, record.status, "status")
    if not record.package:
        if status != "reported" or record.sha256 or record.spec or record.version:
            raise Refused("It is about files, but names no package.")
        return ()
    family = (record.family or "conda").strip().lower()
    if not _FAMILY.match(family):
        raise Refused(f"{shown(family)} is no family of packages.")
    sha256 = (record.sha256 or "").strip().lower()
    if sha256 and not _SHA256.match(sha256):
        raise Refused("The sha256 is not 64 hexadecimal digits.")
    name = package(record.package, "PyPI" if family == "python" else family)
    return (Said(family, name, _spec(record), status, prose(record.note, Most.NOTE), sha256),)


def _spec(record: _Record) -> str:
    """Return the files it is about as a match spec's version and build; whoever uses it compiles it."""
    spec = " ".join((record.spec or "").split())
    if spec and (record.version or record.build):
        raise Refused("It has a spec and a version or build; only one of them can say which files it is about.")
    if record.version or record.build:
        version = f"=={word(record.version, 'version', Most.VERSION)}" if record.version else "*"
        spec = f"{version} {word(record.build, 'build', Most.VERSION)}" if record.build else version
    if len(spec) > 2 * Most.VERSION or not spec.isprintable():
        raise Refused(f"The spec {shown(spec)} is too long or holds control characters.")
    return spec
