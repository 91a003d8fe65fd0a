"""CVE records of NVD's JSON 2.0, as its API and its yearly files give them: https://nvd.nist.gov/developers.

A CPE stands for the package `vendor:product` of the ecosystem "CPE"; which packages that is, aliases say. Only
applications and operating systems are kept, not hardware. Events know no exclusive beginning: `versionStartExcluding`
is read as if the version itself were affected, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory, Affected, Event, Vector
from packhouse.security.vulnerabilities.feeds.reading import (
    Most,
    Notes,
    Refused,
    identifier,
    links,
    moment,
    package,
    prose,
    rating,
    unique,
    word,
)


class _Text(msgspec.Struct):
    lang: str
    value: str


class _Data(msgspec.Struct, rename="camel"):
    vector_string: str = ""
    version: str = ""
    base_score: float | None = None


class _Metric(msgspec.Struct, rename="camel"):
    cvss_data: _Data
    source: str = ""


class _Match(msgspec.Struct, rename="camel"):
    vulnerable: bool
    criteria: str
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None


class _Node(msgspec.Struct, rename="camel"):
    negate: bool = False
    cpe_match: list[_Match] = []


class _Configuration(msgspec.Struct):
    nodes: list[_Node] = []
    negate: bool = False


class _Reference(msgspec.Struct):
    url: str


class _Metrics(msgspec.Struct):
    v4: list[_Metric] = msgspec.field(name="cvssMetricV40", default_factory=list)
    v31: list[_Metric] = msgspec.field(name="cvssMetricV31", default_factory=list)
    v30: list[_Metric] = msgspec.field(name="cvssMetricV30", default_factory=list)
    v2: list[_Metric] = msgspec.field(name="cvssMetricV2", default_factory=list)


class _Cve(msgspec.Struct, rename="camel"):
    id: str
    published: str | None = None
    last_modified: str | None = None
    vuln_status: str = ""
    cisa_exploit_add: str | None = None
    cisa_vulnerability_name: str | None = None
    descriptions: list[_Text] = []
    metrics: _Metrics | None = None
    references: list[_Reference] = []
    configurations: list[_Configuration] = []


class _Record(msgspec.Struct):
    cve: _Cve


_decoder = msgspec.json.Decoder(_Record)


def advisory(data: bytes, notes: Notes) -> Advisory:
    """Read one record. Refused, or an error of msgspec, when it cannot be read; `notes` says what was left out."""
    cve = _decoder.decode(data).cve
    published = moment(cve.published, "published", notes)
    modified = moment(cve.last_modified, "lastModified", notes)
    rejected = cve.vuln_status.strip().lower() == "rejected"
    return Advisory(
        id=identifier(cve.id),
        summary=prose(cve.cisa_vulnerability_name, Most.SUMMARY),
        description=prose(_english(cve.descriptions), Most.DESCRIPTION),
        published_at=published,
        modified_at=modified,
        # no field says when it was rejected; the record was changed then
        withdrawn_at=(modified or published or 0) if rejected else None,
        vectors=unique(_vectors(cve.metrics or _Metrics(), notes)),
        references=links(reference.url for reference in cve.references),
        affected=_affected(cve.configurations, notes),
        known_exploited=bool(cve.cisa_exploit_add),
    )


def _english(texts: list[_Text]) -> str:
    """Return the English text; the first where there is none."""
    return next((text.value for text in texts if text.lang.startswith("en")), texts[0].value if texts else "")


def _vectors(metrics: _Metrics, notes: Notes) -> Iterator[Vector | None]:
    for given in (metrics.v4, metrics.v31, metrics.v30, metrics.v2):
        for metric in given:
            data, source = metric.cvss_data, prose(metric.source[: Most.ID], Most.ID)
            yield rating(data.vector_string, source, notes, score=data.base_score, edition=data.version)


def _affected(configurations: list[_Configuration], notes: Notes) -> tuple[Affected, ...]:
    matches = [
        match
        for configuration in configurations
        if not configuration.negate
        for node in configuration.nodes
        if not node.negate
        for match in node.cpe_match
        if match.vulnerable
    ]
    if len(matches) > Most.VERSIONS:
        raise Refused(f"It has {len(matches):,} CPEs; at most {Most.VERSIONS:,} are read.")
    found: dict[str, tuple[dict[tuple[Event, ...], None], dict[str, None]]] = {}
    for match in matches:
        try:
            _add(match, found)
        except Refused as error:
            notes.add(f"A CPE was left out: {error}")
    return tuple(Affected("CPE", name, tuple(ranges), tuple(versions)) for name, (ranges, versions) in found.items())


def _add(match: _Match, found: dict[str, Any]) -> None:
    """Add what one CPE matches to the package it is of."""
    fields = _fields(match.criteria)
    if fields[2] == "h":
        return
    name = package(f"{fields[3]}:{fields[4]}", "CPE")
    events = _range(match)
    exact = fields[5] not in ("*", "-")
    version = word(fields[5] + (fields[6] if fields[6] not in ("*", "-") else ""), "version", Most.VERSION)
    ranges, versions = found.setdefault(name, ({}, {}))
    if exact and not events:
        versions[version] = None
    else:
        ranges[events or (Event("introduced", "0"),)] = None


_FIELD = re.compile(r"((?:[^:\\]|\\.)*)(?::|\Z)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _fields(criteria: str) -> list[str]:
    """Split a CPE 2.3 formatted string (NISTIR 7695, section 6.2) into its 13 parts, their escapes undone."""
    if len(criteria) > 8 * Most.VERSION:
        raise Refused(f"It has {len(criteria):,} characters.")
    if "\\" in criteria:
        parts = [_ESCAPE.sub(r"\1", part) for part in _FIELD.findall(criteria)[:13]]
    else:
        parts = criteria.split(":", 12)
    if parts[:2] != ["cpe", "2.3"] or len(parts) < 13 or parts[2] not in ("a", "o", "h"):
        raise Refused("it is no CPE 2.3.")
    return parts


def _range(match: _Match) -> tuple[Event, ...]:
    """Return the events of a match that gives a beginning or an end; none where it gives neither."""
    start = match.version_start_including or match.version_start_excluding
    end = match.version_end_including or match.version_end_excluding
    if not start and not end:
        return ()
    events = [Event("introduced", word(start, "version", Most.VERSION) if start else "0")]
    if end:
        kind = "last_affected" if match.version_end_including else "fixed"
        events.append(
            Event("last_affected" if kind == "last_affected" else "fixed", word(end, "version", Most.VERSION))
        )
    return tuple(events)
