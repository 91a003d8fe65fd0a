"""CycloneDX 1.6 VEX as JSON. Our own words are properties named `packhouse:…`, as the standard provides.

Source: ECMA-424 1st edition (CycloneDX 1.6), its JSON schema, and VERS for version ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.statements import Judged
from packhouse.security.vulnerabilities.vex.model import (
    OURS,
    Found,
    Incoming,
    decoded,
    fields,
    joined,
    moment,
    our_product,
    printable,
)
from packhouse.security.vulnerabilities.vex.outgoing import Item, Outgoing, document_uuid
from packhouse.security.vulnerabilities.vex.purls import (
    Product,
    Unusable,
    package_of,
    product_of,
    spec_of_vers,
    spec_of_version,
)

VERSIONS = ("1.4", "1.5", "1.6", "1.7")
State = Literal["resolved", "resolved_with_pedigree", "exploitable", "in_triage", "false_positive", "not_affected"]
_STATES: dict[str, State] = {
    "active": "exploitable",
    "cleared": "not_affected",
    "mitigated": "resolved",
    "disputed": "in_triage",
}
_MEANT: dict[State, Judged | None] = {
    "exploitable": "active",
    "not_affected": "cleared",
    "false_positive": "cleared",
    "resolved": "mitigated",
    "resolved_with_pedigree": "mitigated",
    "in_triage": None,
}


def write(made: Sequence[Outgoing], author: str, now: int) -> dict[str, Any]:
    """Return the document."""
    components = {_reference(item): _component(one, item) for one in made for item in one.products}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{document_uuid(made, now)}",
        "version": 1,
        "metadata": {"timestamp": moment(now), "authors": [{"name": author}]},
        "components": [components[reference] for reference in sorted(components)],
        "vulnerabilities": [_vulnerability(number, one) for number, one in enumerate(made, 1)],
    }


def _reference(item: Item) -> str:
    return f"{item.purl}#{item.sha256}" if item.sha256 else item.purl


def _component(made: Outgoing, item: Item) -> dict[str, Any]:
    said = {"type": "library", "bom-ref": _reference(item), "name": made.statement.name}
    version = {"version": item.version} if item.version else {}
    hashes = {"hashes": [{"alg": "SHA-256", "content": item.sha256}]} if item.sha256 else {}
    return {**said, **version, **hashes, "purl": item.purl}


def _vulnerability(number: int, made: Outgoing) -> dict[str, Any]:
    one = made.statement
    analysis = {"state": _STATES[one.status], "firstIssued": moment(one.at), "lastUpdated": moment(one.at)}
    references = {"references": [{"id": alias, "source": {}} for alias in made.aliases]} if made.aliases else {}
    return {
        "bom-ref": f"statement-{number}",
        "id": one.vulnerability,
        **references,
        "analysis": analysis | ({"detail": one.note} if one.note else {}),
        "affects": [{"ref": _reference(item)} for item in made.products],
        "properties": [{"name": f"{OURS}:{key}", "value": value} for key, value in fields(one).items()],
    }


class _Named(msgspec.Struct):
    name: str = ""


class _Property(msgspec.Struct):
    name: str = ""
    value: str = ""


class _Hash(msgspec.Struct):
    alg: str
    content: str


class _Component(msgspec.Struct):
    purl: str = ""
    version: str = ""
    ref: str = msgspec.field(name="bom-ref", default="")
    hashes: list[_Hash] = []


class _Versions(msgspec.Struct):
    version: str = ""
    range: str = ""
    status: Literal["affected", "unaffected", "unknown"] = "affected"


class _Affects(msgspec.Struct):
    ref: str
    versions: list[_Versions] = []


class _Analysis(msgspec.Struct):
    state: State
    justification: str = ""
    detail: str = ""
    issued: str = msgspec.field(name="firstIssued", default="")
    updated: str = msgspec.field(name="lastUpdated", default="")


class _Reference(msgspec.Struct):
    id: str


class _Vulnerability(msgspec.Struct):
    id: str
    analysis: _Analysis | None = None
    references: list[_Reference] = []
    affects: list[msgspec.Raw] = []
    properties: list[_Property] = []


class _Metadata(msgspec.Struct):
    timestamp: str = ""
    authors: list[_Named] = []
    component: msgspec.Raw | None = None


class _Document(msgspec.Struct):
    form: Literal["CycloneDX"] = msgspec.field(name="bomFormat")
    version: str = msgspec.field(name="specVersion")
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    components: list[msgspec.Raw] = []
    vulnerabilities: list[msgspec.Raw] = []


def read(document: bytes, incoming: Incoming) -> None:
    """Take the statements of a document. Raises PackhouseError("bad_request") when it is not CycloneDX JSON."""
    try:
        found = decoded(document, _Document)
    except Unusable as error:
        raise _refusal(str(error)) from None
    if found.version not in VERSIONS:
        raise _refusal(f"Its `specVersion` is {found.version[:20]!r}.")
    components = dict(_components(found, incoming))
    for index, raw in enumerate(found.vulnerabilities):
        where = f"vulnerabilities[{index}]"
        try:
            _take(where, decoded(raw, _Vulnerability), found.metadata, components, incoming)
        except Unusable as error:
            incoming.skip(where, error)


def _components(document: _Document, incoming: Incoming) -> Iterator[tuple[str, _Component]]:
    """Yield the components by their references; the one that the whole document is about, too."""
    top = [] if document.metadata.component is None else [document.metadata.component]
    for index, raw in enumerate([*document.components, *top]):
        try:
            one = decoded(raw, _Component)
        except Unusable as error:
            incoming.skip(f"components[{index}]", error)
            continue
        yield one.ref or one.purl, one


def _take(
    where: str, one: _Vulnerability, metadata: _Metadata, components: Mapping[str, _Component], incoming: Incoming
) -> None:
    if one.analysis is None:
        raise Unusable("It has no analysis, so it is no statement.")
    affected = list(_affected(where, one, components, incoming))
    said = _ours(one, one.analysis)
    ours = our_product(said, (component.purl for _, _, component in affected))
    author = metadata.authors[0].name if metadata.authors else ""
    found = Found(
        where,
        one.id,
        [reference.id for reference in one.references],
        msgspec.convert(said["status"], Judged) if ours else _MEANT[one.analysis.state],
        one.analysis.detail if ours else joined(one.analysis.justification, one.analysis.detail),
        said["author"] if ours else printable(author),
        one.analysis.updated or one.analysis.issued or metadata.timestamp,
        ours is not None,
    )
    incoming.take(found, [ours] if ours else _products(affected, incoming))


def _affected(
    where: str, one: _Vulnerability, components: Mapping[str, _Component], incoming: Incoming
) -> Iterator[tuple[str, _Affects, _Component]]:
    if not one.affects:
        incoming.skip(where, "It names no component.")
    for index, raw in enumerate(one.affects):
        place = f"{where}.affects[{index}]"
        try:
            affects = decoded(raw, _Affects)
        except Unusable as error:
            incoming.skip(place, error)
        else:
            yield place, affects, components.get(affects.ref) or _linked(affects.ref, components)


def _products(affected: Iterable[tuple[str, _Affects, _Component]], incoming: Incoming) -> Iterator[Product]:
    for place, affects, component in affected:
        try:
            if affects.versions:
                package = package_of(component.purl)
                yield from [package._replace(spec=_spec(one, package)) for one in affects.versions]
            else:
                sha256 = next((one.content for one in component.hashes if one.alg == "SHA-256"), "")
                yield product_of(component.purl, sha256, component.version)
        except Unusable as error:
            incoming.skip(place, error)


def _linked(reference: str, components: Mapping[str, _Component]) -> _Component:
    """Return the component of a reference into another document (BOM-Link), or that is a purl itself."""
    inner = unquote(reference.partition("#")[2]) if reference.startswith("urn:cdx:") else reference
    return components.get(inner) or _Component(purl=inner)


def _spec(one: _Versions, package: Product) -> str:
    if one.status != "affected":
        raise Unusable(f"It lists versions as {one.status}, which leaves open what the analysis says of them.")
    if one.range:
        return spec_of_vers(one.range, package.family)
    return spec_of_version(one.version)


def _ours(one: _Vulnerability, analysis: _Analysis) -> dict[str, str]:
    """Return what we added when we wrote the statement; nothing when it is not ours or was changed since."""
    prefix = f"{OURS}:"
    said = {p.name.removeprefix(prefix): p.value for p in one.properties if p.name.startswith(prefix)}
    whole = {"author", "status"} <= said.keys() and ("spec" in said) != ("sha256" in said)
    return said if whole and analysis.state == _STATES.get(said["status"]) else {}


def _refusal(why: str) -> PackhouseError:
    return PackhouseError(
        "bad_request",
        f"The CycloneDX document cannot be read. {why}",
        f"Send CycloneDX {VERSIONS[0]} to {VERSIONS[-1]} as JSON.",
    )
