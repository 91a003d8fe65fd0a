"""The record of one Python file: what the simple index says of it, and what we ask of it besides.

A record is a JSON object in canonical form. Keys, of which only the first five are always there:

- `filename`, `name` (normalised), `version` (as PEP 440 spells it), `build`, `build_number`
- `hashes`: object of algorithm and lower-case hex; `sha256` is always in it once the record is complete
- `size` in bytes; missing when an upstream does not say it
- `requires-python`, `yanked` (true, or the reason), `core-metadata` (`{"sha256": …}`), `upload-time` (what an upstream
  claims; ours is added when a page is rendered): as PEP 691, PEP 700 and PEP 714 have them, missing when there is none
- `depends`: Requires-Dist, `license`, `license_family`: only when we have read the METADATA. No page shows them.

There is no address in a record: files are addressed relative to the page.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from packhouse.core.clock import from_iso
from packhouse.formats.base import Coordinate, Facts, Hashes, Malformed, RecordColumns
from packhouse.formats.licenses import license_family
from packhouse.formats.python.coremetadata import CoreMetadata

#: the one partition of a Python index: a page lists the files of every platform
SIMPLE = "simple"
#: the keys of a record that a page shows, besides `url` and `upload-time`
PAGE_KEYS = ("filename", "hashes", "requires-python", "yanked", "core-metadata", "size", "upload-time")
MAX_TEXT = 16_384
_HEX = {"sha256": 64, "md5": 32}
_DIGEST = re.compile(r"[0-9a-f]+")
_MAX_COUNT = 2**63 - 1

_json = msgspec.json.Encoder(order="deterministic")
_object = msgspec.json.Decoder(dict[str, Any])


class _Known(msgspec.Struct, rename="kebab"):
    filename: str
    name: str
    version: str
    build: str
    build_number: int = msgspec.field(name="build_number")
    hashes: dict[str, str] = {}
    size: int | None = None
    requires_python: str | None = None
    yanked: bool | str = False
    core_metadata: dict[str, str] | None = None
    upload_time: str | None = None
    depends: list[str] = []
    license: str = ""
    license_family: str = msgspec.field(name="license_family", default="")


def coordinate_keys(at: Coordinate) -> dict[str, Any]:
    """Return the keys of a record that its coordinate gives."""
    return {
        "filename": at.filename,
        "name": at.name,
        "version": at.version,
        "build": at.build,
        "build_number": at.build_number,
    }


def facts_record(at: Coordinate, metadata: CoreMetadata, raw: bytes, license: str, family: str) -> dict[str, Any]:
    """Return the record of a wheel from its METADATA, whose bytes are `raw`, without size and hashes.

    Clients are only promised the METADATA apart when we can keep it, which has to be UTF-8.
    """
    record = coordinate_keys(at) | {"depends": metadata.all("requires-dist"), "license_family": family}
    if license:
        record["license"] = license
    if wanted := metadata.one("requires-python"):
        record["requires-python"] = wanted
    try:
        raw.decode("utf-8")
        record["core-metadata"] = {"sha256": hashlib.sha256(raw).hexdigest()}
    except UnicodeDecodeError:
        pass
    return record


def make_record(facts: Facts, hashes: Hashes) -> dict[str, Any]:
    """Return the record to publish for an uploaded file: what it says of itself, its size and its hash."""
    return facts.record | {"hashes": {"sha256": hashes.sha256}, "size": hashes.size}


def canonical_json(record: dict[str, Any]) -> bytes:
    """Return the record as compact UTF-8 JSON with sorted keys. Malformed for what JSON or UTF-8 cannot hold."""
    try:
        return _json.encode(record)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"The record cannot be written as JSON: {error}.") from error


def decode_record(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return a record given as JSON text. Malformed when it is no object."""
    try:
        return _object.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The record cannot be read: {error}.") from error


def columns(filename: str, record: dict[str, Any] | bytes | msgspec.Raw) -> RecordColumns:
    """Return the columns of a record, given as an object or as its JSON text.

    Malformed when a key that clients give a meaning has a value of another type, or one that is out of range.
    """
    try:
        known = msgspec.convert(record if isinstance(record, dict) else decode_record(record), _Known)
    except msgspec.ValidationError as error:
        raise Malformed(f"The record of {filename} cannot be used: {error}.") from error
    texts = (known.requires_python or "", known.license, str(known.yanked))
    if known.filename != filename or any(len(text) > MAX_TEXT or "\0" in text for text in texts):
        raise Malformed(f"The record of {filename} is of another file, or has a text that is too long.")
    for number in (known.size or 0, known.build_number):
        if not 0 <= number <= _MAX_COUNT:
            raise Malformed(f"The record of {filename} has a number that is out of range: {number}.")
    return RecordColumns(
        name=known.name,
        version=known.version,
        build=known.build,
        build_number=known.build_number,
        size=known.size,
        sha256=digest_of(known.hashes, "sha256"),
        md5=digest_of(known.hashes, "md5"),
        license=known.license,
        license_family=license_family(known.license_family, known.license),
        timestamp_ms=_milliseconds(known.upload_time),
    )


def digest_of(hashes: dict[str, str], algorithm: str) -> str | None:
    """Return a digest in lower case, or None when the claim is no digest: then it can prove nothing."""
    digest = hashes.get(algorithm, "").lower()
    return digest if len(digest) == _HEX[algorithm] and _DIGEST.fullmatch(digest) else None


def _milliseconds(text: str | None) -> int | None:
    """Return the milliseconds of a time as PEP 700 writes it; None for no time, or one that cannot be used."""
    try:
        return from_iso(text) // 1000 or None if text and len(text) < 64 else None
    except (ValueError, OverflowError):
        return None
