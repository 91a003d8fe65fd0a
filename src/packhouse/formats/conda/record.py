"""One repodata record: its canonical texts, its hash, and the columns that lists and rules ask for.

A record is encoded once, when it is first seen; publishing joins the bytes. Source: CEP 36 (records), CEP 16 (hashes as
bytes in shards).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from packhouse.formats import base
from packhouse.formats.base import Facts, Hashes, Malformed
from packhouse.formats.conda.solver_types import check_parses, check_purl
from packhouse.formats.licenses import license_family

_HASHES = {"md5": 16, "sha256": 32, "legacy_bz2_md5": 16}

#: py-rattler reads what is below as seconds and the rest as milliseconds, and knows no later time than the second
_MILLISECONDS_FROM = 253_402_300_800
_LAST_MILLISECOND = 253_402_207_200_000
_Time = Annotated[int, msgspec.Meta(ge=0, le=_LAST_MILLISECOND)]
#: what fits in a column; JSON and msgpack would hold twice as much
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
#: keys that say where a file is or comes from; here only this server says it
ADDRESSES = ("url", "base_url", "shards_base_url", "channel")
#: a record of another channel that is larger is not even parsed: a byte of it can stand for a hundred of memory. As
#: canonical text, which escapes less, it may have `DEFAULT.record` bytes.
MAX_SOURCE_BYTES = 1024 * 1024
#: characters of a text that lists show
MAX_TEXT = 16_384

_json = msgspec.json.Encoder(order="deterministic")
_msgpack = msgspec.msgpack.Encoder(order="deterministic")


class RecordColumns(base.RecordColumns, frozen=True):
    """What a conda record says, as columns."""

    noarch: bool
    depends: list[str]
    constrains: list[str]


class _RunExports(msgspec.Struct):
    """The kinds of run exports that clients know (CEP 12)."""

    weak: list[str] = []
    strong: list[str] = []
    noarch: list[str] = []
    weak_constrains: list[str] = []
    strong_constrains: list[str] = []


class _Known(msgspec.Struct):
    """Every key that clients give a meaning, with the type they insist on; where they take null, it says so.

    One value of another type makes py-rattler refuse the whole shard or index that holds it, so that nothing of that
    name can be installed. Keys that are not here are passed over by clients, and may hold anything.
    """

    name: str
    version: str
    build: str
    build_number: _Count
    size: _Count | None = None
    sha256: str | None = None
    md5: str | None = None
    license: str | None = None
    license_family: str | None = None
    timestamp: _Time | None = None
    indexed_timestamp: _Time | None = None
    noarch: Literal["python", "generic", ""] | bool | None = None
    subdir: str = ""
    depends: list[str] = []
    constrains: list[str] = []
    arch: str | None = None
    platform: str | None = None
    features: str | None = None
    track_features: str | list[str] = ""
    legacy_bz2_md5: str | None = None
    legacy_bz2_size: _Count | None = None
    extra_depends: dict[str, list[str]] = {}
    flags: list[str] = []
    purls: list[str] | None = None
    python_site_packages_path: str | None = None
    run_exports: _RunExports | None = None


_known = msgspec.json.Decoder(_Known)


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
    if len(value) != 2 * length:
        raise Malformed(f"The record's {key} has {len(value)} hexadecimal digits instead of {2 * length}.")
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
    check_size(text, "The record")
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The record is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Malformed("The record is no JSON object.")
    return found


def check_size(text: bytes | msgspec.Raw, what: str) -> None:
    """Malformed for the text of a record that is too large to be parsed; `what` names it in the message."""
    if (size := memoryview(text).nbytes) > MAX_SOURCE_BYTES:
        raise Malformed(f"{what} has {size:,} bytes; at most {MAX_SOURCE_BYTES:,} are read.")


def columns(filename: str, record: dict[str, Any] | bytes | msgspec.Raw) -> RecordColumns:
    """Return the columns of a record, given as an object or as its JSON text.

    Malformed when the record is no object, or clients could not read it, as `check_values` says.
    """
    known = _read(record, f"The record of {filename}")
    license = known.license or ""
    return RecordColumns(
        name=known.name,
        version=known.version,
        build=known.build,
        build_number=known.build_number,
        size=known.size,
        sha256=_hex(known.sha256, 32),
        md5=_hex(known.md5, 16),
        license=license,
        license_family=license_family(known.license_family or "", license),
        timestamp_ms=_milliseconds(known.timestamp),
        noarch=known.subdir == "noarch" or bool(known.noarch),
        depends=known.depends,
        constrains=known.constrains,
    )


def check_values(record: dict[str, Any], what: str) -> None:
    """Malformed for a record that clients cannot read; `what` names it in the message.

    That is one that lacks a name, version, build or build number, has a value of another type than clients know under
    its key, a version, package URL or digest that is none, a number that is negative or does not fit in 64 bits, a
    time that is out of their range, or a licence longer than `MAX_TEXT`.
    """
    _read(record, what)


def _read(record: dict[str, Any] | bytes | msgspec.Raw, what: str) -> _Known:
    if not isinstance(record, dict):
        check_size(record, what)
    try:
        known = msgspec.convert(record, _Known) if isinstance(record, dict) else _known.decode(record)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{what} cannot be used: {error}.") from error
    for time in (known.timestamp, known.indexed_timestamp):
        if time is not None and _LAST_MILLISECOND // 1000 < time < _MILLISECONDS_FROM:
            raise Malformed(f"{what} has a timestamp that is out of range: {time}.")
    if known.license and len(known.license) > MAX_TEXT:
        raise Malformed(f"{what} has a license of more than {MAX_TEXT:,} characters.")
    if known.legacy_bz2_md5 is not None:
        _digest("legacy_bz2_md5", known.legacy_bz2_md5, _HASHES["legacy_bz2_md5"])
    for purl in known.purls or ():
        check_purl(purl)
    check_parses(known.version)
    return known


def _hex(text: str | None, length: int) -> str | None:
    """Return a digest in lower case, or None when the claim is no digest: then it can prove nothing."""
    if text is None or len(text) != 2 * length:
        return None
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        return None


def _milliseconds(timestamp: int | None) -> int | None:
    """Return milliseconds; old records have seconds, which are below 10**11 until the year 5138. None for no time."""
    if not timestamp:
        return None
    return timestamp if timestamp >= 10**11 else timestamp * 1000
