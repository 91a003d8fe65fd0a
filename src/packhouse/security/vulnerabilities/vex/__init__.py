"""Statements as others read and write them: OpenVEX 0.2.0 and CycloneDX 1.6 VEX, out and in.

What the standards cannot say (our match spec, author, exact status) goes along in documented places, so that export
and import are exact among us; a document without them is understood by what its standard says. See docs/vex.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.statements import File, Statement
from packhouse.security.vulnerabilities.vex import cyclonedx, openvex
from packhouse.security.vulnerabilities.vex.model import MAX_BYTES, Form, Imported, Incoming, Skipped
from packhouse.security.vulnerabilities.vex.outgoing import outgoing

__all__ = ["MAX_BYTES", "Form", "Imported", "Skipped", "export_vex", "import_vex"]


def export_vex(
    statements: Iterable[Statement],
    files: Mapping[tuple[str, str], Sequence[File]],
    form: Form,
    *,
    author: str,
    now: int,
    aliases: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """Return a JSON document of the statements.

    `files` are those known of each (family, name): the products of a statement are the files it decides about, so that
    no reader meets two statements that contradict each other. `aliases` has the other names of each vulnerability.
    `author` is who issues the document, `now` its time in microseconds. The same input gives the same bytes.
    Raises PackhouseError("not_found") for an OpenVEX document of nothing, which the standard does not allow.
    """
    made = outgoing(statements, files, aliases or {})
    write = openvex.write if form == "openvex" else cyclonedx.write
    return msgspec.json.format(msgspec.json.encode(write(made, author, now)), indent=2)


def import_vex(document: bytes, *, origin: str, now: int) -> Imported:
    """Return the statements of a document of either form, and what was passed over with the reason.

    `origin` is whose word they are here ("user" or "feed:<name>"), which no document can say for itself. Times after
    `now` count as `now`, so that nobody can have the last word for ever.
    Raises PackhouseError("bad_request") for what is no VEX document, "too_large" beyond the limits of docs/vex.md.
    """
    if len(document) > MAX_BYTES:
        raise PackhouseError("too_large", f"The VEX document is larger than {MAX_BYTES} bytes.", "Split it.")
    try:
        head = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _unknown("It is no JSON object.") from None
    incoming = Incoming(origin, now)
    if "@context" in head:
        form: Form = "openvex"
        openvex.read(document, incoming)
    elif "bomFormat" in head:
        form = "cyclonedx"
        cyclonedx.read(document, incoming)
    else:
        raise _unknown("It has neither `@context` nor `bomFormat`.")
    return Imported(form, list(incoming.statements), incoming.skipped)


def _unknown(why: str) -> PackhouseError:
    return PackhouseError(
        "bad_request",
        f"The document is no VEX document that can be read. {why}",
        "Send OpenVEX 0.2.0 or CycloneDX 1.6 as JSON.",
    )
