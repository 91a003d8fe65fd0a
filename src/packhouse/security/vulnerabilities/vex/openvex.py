"""OpenVEX 0.2.0. Our own words lie in the `@id` of a statement, since its schema allows no further fields.

Source: the OpenVEX Specification v0.2.0 and its JSON schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.statements import Judged, Statement
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
from packhouse.security.vulnerabilities.vex.purls import Product, Unusable, product_of

CONTEXT = "https://openvex.dev/ns/v0.2.0"
Word = Literal["not_affected", "affected", "fixed", "under_investigation"]
_WORDS: dict[str, Word] = {
    "active": "affected",
    "cleared": "not_affected",
    "mitigated": "fixed",
    "disputed": "under_investigation",
}
#: without our own word: "under investigation" says that nobody has judged, not that somebody disputes
_MEANT: dict[Word, Judged | None] = {
    "affected": "active",
    "not_affected": "cleared",
    "fixed": "mitigated",
    "under_investigation": None,
}
_NAME = f"urn:{OURS}:statement:"
#: starts the q-component of a URN (RFC 8141 section 2.3.2)
_QUERY = "?="


def write(made: Sequence[Outgoing], author: str, now: int) -> dict[str, Any]:
    """Return the document. Raises PackhouseError("not_found") when there is no statement."""
    if not made:
        raise PackhouseError(
            "not_found", "There is no statement to export.", "OpenVEX has no empty document; CycloneDX has."
        )
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{document_uuid(made, now)}",
        "author": author,
        "timestamp": moment(now),
        "version": 1,
        "statements": [_statement(one) for one in made],
    }


def _statement(made: Outgoing) -> dict[str, Any]:
    one = made.statement
    said: dict[str, Any] = {
        "@id": _name(one),
        "vulnerability": {"name": one.vulnerability} | ({"aliases": made.aliases} if made.aliases else {}),
        "timestamp": moment(one.at),
        "products": [_product(item) for item in made.products],
        "status": _WORDS[one.status],
    }
    if one.note:
        said["status_notes"] = one.note
    if one.status == "cleared":  # the schema wants a justification, which nobody stated, or this
        said["impact_statement"] = one.note or "Reviewed: the vulnerability does not affect these files."
    if one.status == "active":
        said["action_statement"] = one.note or "Reviewed: the vulnerability affects these files. No remedy is recorded."
    return said


def _product(item: Item) -> dict[str, Any]:
    hashes = {"hashes": {"sha-256": item.sha256}} if item.sha256 else {}
    return {"@id": item.purl, "identifiers": {"purl": item.purl}, **hashes}


def _name(one: Statement) -> str:
    """Return the statement's IRI, which carries what the standard cannot say."""
    digest = hashlib.sha256(msgspec.json.encode(one)).hexdigest()[:32]
    return f"{_NAME}{digest}{_QUERY}{urlencode(fields(one), quote_via=quote, safe='')}"


class _Vulnerability(msgspec.Struct):
    name: str
    aliases: list[str] = []


class _Component(msgspec.Struct):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] = {}
    hashes: dict[str, str] = {}


class _Statement(msgspec.Struct):
    vulnerability: _Vulnerability
    status: Word
    id: str = msgspec.field(name="@id", default="")
    timestamp: str = ""
    last_updated: str = ""
    products: list[msgspec.Raw] = []
    status_notes: str = ""
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""


class _Document(msgspec.Struct):
    context: str = msgspec.field(name="@context")
    statements: list[msgspec.Raw]
    author: str = ""
    timestamp: str = ""


def read(document: bytes, incoming: Incoming) -> None:
    """Take the statements of a document. Raises PackhouseError("bad_request") when it is not OpenVEX 0.2.0."""
    try:
        found = decoded(document, _Document)
    except Unusable as error:
        raise _refusal(str(error)) from None
    if found.context.rstrip("/") not in (CONTEXT, "https://openvex.dev/ns"):
        raise _refusal(f"Its `@context` is {found.context[:80]!r}.")
    for index, raw in enumerate(found.statements):
        where = f"statements[{index}]"
        try:
            _take(where, decoded(raw, _Statement), found, incoming)
        except Unusable as error:
            incoming.skip(where, error)


def _take(where: str, one: _Statement, document: _Document, incoming: Incoming) -> None:
    components = list(_components(where, one, incoming))
    said = _ours(one)
    ours = our_product(said, (_purl(component) for _, component in components))
    found = Found(
        where,
        one.vulnerability.name,
        one.vulnerability.aliases,
        msgspec.convert(said["status"], Judged) if ours else _status(one),
        one.status_notes if ours else _note(one),
        said["author"] if ours else printable(document.author),
        one.last_updated or one.timestamp or document.timestamp,
        ours is not None,
    )
    incoming.take(found, [ours] if ours else _products(components, incoming))


def _components(where: str, one: _Statement, incoming: Incoming) -> Iterator[tuple[str, _Component]]:
    if not one.products:
        incoming.skip(where, "It names no product.")
    for index, raw in enumerate(one.products):
        place = f"{where}.products[{index}]"
        try:
            yield place, decoded(raw, _Component)
        except Unusable as error:
            incoming.skip(place, error)


def _products(components: Iterable[tuple[str, _Component]], incoming: Incoming) -> Iterator[Product]:
    for place, component in components:
        try:
            yield product_of(_purl(component), component.hashes.get("sha-256", ""))
        except Unusable as error:
            incoming.skip(place, error)


def _purl(one: _Component) -> str:
    return one.identifiers.get("purl") or one.id


def _status(one: _Statement) -> Judged | None:
    if one.status == "not_affected" and one.justification == "inline_mitigations_already_exist":
        return "mitigated"
    return _MEANT[one.status]


def _note(one: _Statement) -> str:
    return joined(one.justification, one.impact_statement, one.action_statement, one.status_notes)


def _ours(one: _Statement) -> dict[str, str]:
    """Return what we added when we wrote the statement; nothing when it is not ours or was changed since."""
    head, query, text = one.id.partition(_QUERY)
    if not (query and head.startswith(_NAME)):
        return {}
    said = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20))
    whole = {"author", "status"} <= said.keys() and ("spec" in said) != ("sha256" in said)
    return said if whole and one.status == _WORDS.get(said["status"]) else {}


def _refusal(why: str) -> PackhouseError:
    return PackhouseError(
        "bad_request", f"The OpenVEX document cannot be read. {why}", f"Its `@context` must be {CONTEXT}."
    )
