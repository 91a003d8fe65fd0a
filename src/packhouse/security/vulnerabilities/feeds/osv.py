"""OSV records: https://ossf.github.io/osv-schema/ (1.7).

What names no package, and ranges of commits (type GIT), is left out: files have versions. `upstream` counts as
`aliases`: a distribution's record is about the vulnerabilities it names. Records of malicious packages (`MAL-`) are
malware, and so are others that name one as their alias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory, Affected, Event, Kind
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
    unique,
    word,
)

EventKind = Literal["introduced", "fixed", "last_affected", "limit"]


class _Package(msgspec.Struct):
    ecosystem: str = ""
    name: str = ""


class _Severity(msgspec.Struct):
    type: str
    score: str


class _Event(msgspec.Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class _Range(msgspec.Struct):
    type: str
    events: list[_Event] | None = None


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    versions: list[str] | None = None
    severity: list[_Severity] | None = None


class _Reference(msgspec.Struct):
    url: str


class _Specific(msgspec.Struct):
    malicious: list[msgspec.Raw] | None = msgspec.field(name="malicious-packages-origins", default=None)


class _Record(msgspec.Struct):
    id: str
    modified: str | None = None
    published: str | None = None
    withdrawn: str | None = None
    aliases: list[str] | None = None
    upstream: list[str] | None = None
    summary: str | None = None
    details: str | None = None
    severity: list[_Severity] | None = None
    affected: list[_Affected] | None = None
    references: list[_Reference] | None = None
    database_specific: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Record)
_specific = msgspec.json.Decoder(_Specific)


def advisory(data: bytes, notes: Notes) -> Advisory:
    """Read one record. Refused, or an error of msgspec, when it cannot be read; `notes` says what was left out."""
    record = _decoder.decode(data)
    own = identifier(record.id)
    names = [*(record.aliases or ()), *(record.upstream or ())]
    severities = [*(record.severity or ()), *(one for two in record.affected or () for one in two.severity or ())]
    aliases = identifiers(names, own, notes)
    return Advisory(
        id=own,
        kind=_kind((own, *aliases), record.database_specific),
        aliases=aliases,
        summary=prose(record.summary, Most.SUMMARY),
        description=prose(record.details, Most.DESCRIPTION),
        published_at=moment(record.published, "published", notes),
        modified_at=moment(record.modified, "modified", notes),
        withdrawn_at=moment(record.withdrawn, "withdrawn", notes),
        vectors=unique(rating(one.score, "", notes) for one in severities if one.type.startswith("CVSS_")),
        references=links(reference.url for reference in record.references or ()),
        affected=_affected(record.affected or [], notes),
    )


def _kind(names: tuple[str, ...], specific: msgspec.Raw) -> Kind:
    if any(name.startswith("MAL-") for name in names):
        return "malware"
    if b"malicious-packages-origins" in bytes(specific):
        try:
            return "malware" if _specific.decode(specific).malicious else "vulnerability"
        except msgspec.MsgspecError:
            return "vulnerability"  # a database may put there what it likes
    return "vulnerability"


def _affected(given: list[_Affected], notes: Notes) -> tuple[Affected, ...]:
    if len(given) > Most.PACKAGES:
        raise Refused(f"It names {len(given):,} packages; at most {Most.PACKAGES:,} are read.")
    size = sum(len(one.versions or ()) + sum(len(r.events or ()) for r in one.ranges or ()) for one in given)
    if size > Most.VERSIONS:
        raise Refused(f"It lists {size:,} versions and events; at most {Most.VERSIONS:,} are read.")
    found = []
    for one in given:
        if not one.package or not one.package.name:
            continue
        try:
            ecosystem = word(one.package.ecosystem, "ecosystem", Most.NAME)
            name = package(one.package.name, ecosystem)
        except Refused as error:
            notes.add(f"An affected package was left out: {error}")
            continue
        ranges = tuple(_ranges(one.ranges or [], name, notes))
        found.append(Affected(ecosystem, name, ranges, tuple(_versions(one.versions or [], name, notes))))
    return tuple(found)


def _versions(given: list[str], name: str, notes: Notes) -> Iterator[str]:
    for version in dict.fromkeys(given):
        try:
            yield word(version, "version", Most.VERSION)
        except Refused as error:
            notes.add(f"A version of {name} was left out: {error}")


def _ranges(given: list[_Range], name: str, notes: Notes) -> Iterator[tuple[Event, ...]]:
    for one in given:
        if one.type == "GIT":
            continue
        try:
            events = tuple(_events(one.events or []))
        except Refused as error:
            notes.add(f"A range of {name} was left out: {error}")
            continue
        if not any(event.kind == "introduced" for event in events):
            notes.add(f"A range of {name} does not say where it begins: it is read as from the first version on.")
            events = (Event("introduced", "0"), *events)
        yield events


def _events(given: list[_Event]) -> Iterator[Event]:
    """Give the events of a range. Older records name several in one object; their order does not matter."""
    for one in given:
        named: tuple[tuple[EventKind, str | None], ...] = (
            ("introduced", one.introduced),
            ("fixed", one.fixed),
            ("last_affected", one.last_affected),
            ("limit", one.limit),
        )
        events = [Event(kind, word(version, "version", Most.VERSION)) for kind, version in named if version is not None]
        if not events:
            raise Refused("an event names none of introduced, fixed, last_affected and limit.")
        yield from events
