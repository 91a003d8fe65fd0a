"""From what was read of a file to the record we publish for it."""

from __future__ import annotations

import hashlib
from typing import Any

from packhouse.catalog.packages.contents import Record
from packhouse.formats import registry
from packhouse.formats.archives.limits import DEFAULT
from packhouse.formats.base import Facts, Hashes, Malformed
from packhouse.formats.strictjson import has_nul
from packhouse.security.signing.conda import signers


def record_of(facts: Facts, hashes: Hashes) -> Record:
    """Return the record of an uploaded file: ours, so its claims are the facts. Raises Malformed as `build_record`."""
    if facts.fault:
        raise Malformed(facts.fault)
    at = facts.coordinate
    return build_record(at.filename, registry.get(at.family).make_record(facts, hashes), family=at.family)


def build_record(filename: str, source: dict[str, Any], signatures: str | None = None, *, family: str) -> Record:
    """Return a record of a family encoded for both index forms. Raises Malformed for one that no index can carry."""
    kind = registry.get(family)
    text, packed = kind.encode(source)
    if len(text) > DEFAULT.record:
        raise Malformed(f"The record of {filename} has {len(text):,} bytes; at most {DEFAULT.record:,} are taken.")
    if b"\\u0000" in text and has_nul(source):  # PostgreSQL cannot keep it, nor can a C program read it
        raise Malformed(f"The record of {filename} has a text with the character U+0000.")
    read = kind.columns(filename, source)
    return Record(
        sha256=hashlib.sha256(text + (signatures or "").encode()).digest(),
        name=read.name,
        version=read.version,
        build=read.build,
        build_number=read.build_number,
        size=read.size,
        claimed_sha256=bytes.fromhex(read.sha256) if read.sha256 else None,
        claimed_md5=bytes.fromhex(read.md5) if read.md5 else None,
        license=read.license,
        license_family=read.license_family,
        timestamp=read.timestamp_ms * 1000 if read.timestamp_ms else None,
        signed=signatures is not None,
        json=text,
        packed=packed,
        signatures=signatures,
        signers=signers(text, signatures) if signatures is not None else (),
    )
