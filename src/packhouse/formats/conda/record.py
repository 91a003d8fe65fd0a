"""One repodata record: its canonical texts, its hash, and the columns that lists and rules ask for.

A record is encoded once, when it is first seen; publishing joins the bytes. Source: CEP 36 (records), CEP 16 (hashes as
bytes in shards).
"""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.formats.base import Facts, Hashes, Malformed
from packhouse.formats.conda.licenses import license_family

_INT64 = range(-(2**63), 2**63)
_HASHES = {"md5": 16, "sha256": 32, "legacy_bz2_md5": 16}

#: milliseconds; what claims to be later is no time
_YEAR_10000 = 253_402_300_800_000

_json = msgspec.json.Encoder(order="deterministic")
_msgpack = msgspec.msgpack.Encoder(order="deterministic")


class RecordColumns(msgspec.Struct, frozen=True):
    """What a record says, as columns. Hashes are lower-case hex or None; `timestamp_ms` is the builder's claim."""

    name: str
    version: str
    build: str
    build_number: int
    size: int | None
    sha256: str | None
    md5: str | None
    license: str
    license_family: str
    timestamp_ms: int | None
    noarch: bool
    depends: list[str]
    constrains: list[str]


class _Loose(msgspec.Struct):
    """What upstream records hold in practice: nulls, numbers for times, booleans for noarch, lists for licences."""

    name: str
    version: str
    build: str = ""
    build_number: int = 0
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    license: str | list[str] | None = None
    license_family: str | None = None
    timestamp: int | float | None = None
    noarch: str | bool | None = None
    subdir: str | None = None
    depends: list[str] | None = None
    constrains: list[str] | None = None


_loose = msgspec.json.Decoder(_Loose)


def canonical_json(record: dict[str, Any]) -> bytes:
    """Return the record as compact UTF-8 JSON with sorted keys: equal records give equal bytes.

    Malformed for what JSON or UTF-8 cannot hold: lone surrogates, NaN, other types.
    """
    try:
        text = _json.encode(record)
        if b"null" in text:  # msgspec writes NaN as null; keep nothing that was another value before
            _refuse_nan(record)
        return text
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"The record cannot be written as JSON: {error}.") from error


def _refuse_nan(value: Any) -> None:
    if isinstance(value, float) and value - value != 0:
        raise Malformed("The record holds a number that is not finite.")
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_nan(child)


def to_msgpack(record: dict[str, Any]) -> bytes:
    """Return the record as a shard carries it: msgpack with `md5` and `sha256` as raw bytes (CEP 16).

    Malformed for hashes that are no hex of the right length and for numbers beyond 64 bits.
    """
    changed: dict[str, Any] = {}
    for key, length in _HASHES.items():
        if (value := record.get(key)) is not None:
            changed[key] = _digest(key, value, length)
    try:
        return _msgpack.encode(record | changed)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"The record cannot be written as msgpack: {error}.") from error


def _digest(key: str, value: Any, length: int) -> bytes:
    try:
        digest = bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise Malformed(f"The record's {key} is no hexadecimal text.") from error
    if len(digest) != length:
        raise Malformed(f"The record's {key} has {len(digest)} bytes instead of {length}.")
    return digest


def from_msgpack(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a shard as repodata.json holds it: hashes as lower-case hex."""
    changed = {key: record[key].hex() for key in _HASHES if isinstance(record.get(key), bytes)}
    return record | changed if changed else record


def make_record(facts: Facts, hashes: Hashes) -> dict[str, Any]:
    """Return the record to publish for an uploaded file: what it says of itself, its size and its hashes."""
    return facts.record | {"md5": hashes.md5, "sha256": hashes.sha256, "size": hashes.size}


def decode_record(text: bytes | msgspec.Raw) -> dict[str, Any]:
    """Return the record of another channel's index as an object; of a key given twice, the last value.

    Six times faster than `strictjson`, and enough: we only ever publish what `canonical_json` makes of the result.
    Malformed when it is no JSON object.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The record is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Malformed("The record is no JSON object.")
    return found


def columns(filename: str, record: dict[str, Any] | bytes | msgspec.Raw) -> RecordColumns:
    """Return the columns of a record, given as an object or as its JSON text.

    Tolerates what real channels hold. Malformed when the record is no object, lacks a name or version, has a value of
    an unusable type, or a number that does not fit in 64 bits.
    """
    try:
        loose = msgspec.convert(record, _Loose) if isinstance(record, dict) else _loose.decode(record)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The record of {filename} cannot be used: {error}.") from error
    for number in (loose.build_number, loose.size or 0):
        if number not in _INT64 or number < 0:
            raise Malformed(f"The record of {filename} has a number that is negative or does not fit in 64 bits.")
    license = " OR ".join(loose.license) if isinstance(loose.license, list) else loose.license or ""
    return RecordColumns(
        name=loose.name,
        version=loose.version,
        build=loose.build,
        build_number=loose.build_number,
        size=loose.size,
        sha256=_hex(loose.sha256, 32),
        md5=_hex(loose.md5, 16),
        license=license,
        license_family=license_family(loose.license_family or "", license),
        timestamp_ms=_milliseconds(loose.timestamp),
        noarch=loose.subdir == "noarch" or bool(loose.noarch),
        depends=loose.depends or [],
        constrains=loose.constrains or [],
    )


def _hex(text: str | None, length: int) -> str | None:
    """Return a digest in lower case, or None when the claim is no digest: then it can prove nothing."""
    if text is None or len(text) != 2 * length:
        return None
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        return None


def _milliseconds(timestamp: float | None) -> int | None:
    """Return milliseconds; old records have seconds, which are below 10**11 until the year 5138. None for no time."""
    if timestamp is None or not 0 < timestamp < _YEAR_10000:
        return None
    return int(timestamp if timestamp >= 10**11 else timestamp * 1000)
