"""What another channel's index says, read quickly and without trusting it: repodata.json and CEP 16 shards.

Records stay raw text until somebody needs them: parsing a million takes a second, and most have not changed. One that
is none stays, too, so that whoever needs it says what is wrong with it: the others are as good as before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import xxhash

from packhouse.formats.archives.limits import MIB
from packhouse.formats.archives.zstandard import unzstd
from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import is_subdir
from packhouse.formats.conda.record import ADDRESSES, canonical_json, check_size, decode_record, from_msgpack

#: the caps conda itself sets on decompressed sharded repodata
SHARD_INDEX_LIMIT = 128 * MIB
SHARD_LIMIT = 16 * MIB
#: names in a shard index, five times those of the largest channels all together
_MOST_NAMES = 1_000_000
#: the list of removed files, in bytes: some 100,000 names in a repodata.json, some 5,000 of one package in its shard
_REMOVED_LIMIT, _SHARD_REMOVED_LIMIT = 4 * MIB, MIB // 4


class UpstreamInfo(msgspec.Struct):
    """The `info` of an index. `base_url` says where the files are, relative to the index when it is relative."""

    subdir: str | None = None
    base_url: str | None = None
    shards_base_url: str | None = None


class UpstreamIndex(msgspec.Struct):
    """A repodata.json or one shard without what it says to be removed: file name to the raw JSON text of its record."""

    packages: dict[str, msgspec.Raw]
    packages_conda: dict[str, msgspec.Raw]
    info: UpstreamInfo = msgspec.field(default_factory=UpstreamInfo)
    signatures: dict[str, msgspec.Raw] = {}
    unsupported: int = 0  #: records of later revisions of the format
    faults: list[tuple[str, str]] = []  #: what was passed over, and why


class _Repodata(msgspec.Struct, rename={"packages_conda": "packages.conda"}):
    """`v3` holds the records of later revisions apart, by extension: old clients could not read them."""

    info: UpstreamInfo = msgspec.field(default_factory=UpstreamInfo)
    packages: dict[str, msgspec.Raw] = {}
    packages_conda: dict[str, msgspec.Raw] = {}
    removed: msgspec.Raw = msgspec.Raw(b"[]")
    signatures: dict[str, msgspec.Raw] = {}
    v3: dict[str, msgspec.Raw] = {}


class ShardIndex(msgspec.Struct):
    """A shard index: package name to the 32 raw bytes of the SHA-256 of its compressed shard."""

    info: UpstreamInfo
    shards: dict[str, bytes]
    version: int = 1


class _Shard(msgspec.Struct, rename={"packages_conda": "packages.conda"}):
    packages: dict[str, msgspec.Raw] = {}
    packages_conda: dict[str, msgspec.Raw] = {}
    removed: msgspec.Raw = msgspec.Raw(b"\x90")


_index = msgspec.json.Decoder(_Repodata)
_later = msgspec.json.Decoder(dict[str, msgspec.Raw])
_shard_index = msgspec.msgpack.Decoder(ShardIndex)
_shard = msgspec.msgpack.Decoder(_Shard)
#: stands for a record that JSON cannot hold, and is refused as one that is no object
_NO_RECORD = msgspec.Raw(b"null")
#: every escape, so that none begins within another: first whole surrogate pairs, then (as a group) halves of one
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
_REPLACED = b"\\ufffd"


def parse_repodata(data: bytes, *, may_be_empty: bool = False) -> UpstreamIndex:
    """Parse an uncompressed repodata.json. The records refer into `data`.

    Malformed when it is no JSON object of the known shape; unknown keys are passed over. An empty file is an empty
    index (CEP 36) if it `may_be_empty`; where there were records before, it is what a full disk leaves of one.
    """
    if not data.strip():
        if may_be_empty:
            return UpstreamIndex({}, {})
        raise Malformed("The upstream repodata.json cannot be read: it is empty.")
    try:
        found = _decoded(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The upstream repodata.json cannot be read: {error}.") from error
    if found.info.subdir is not None and not is_subdir(found.info.subdir):
        raise Malformed("The upstream repodata.json names a subdir that is none.")
    faults = _remove(found, msgspec.json.decode, _REMOVED_LIMIT)
    unsupported = sum(map(_later_records, found.v3.values()))
    return UpstreamIndex(found.packages, found.packages_conda, found.info, found.signatures, unsupported, faults)


def _decoded(data: bytes) -> _Repodata:
    """Decode, though half a surrogate pair may stand in a name: then the records that hold one are none."""
    try:
        return _index.decode(data)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda match: _REPLACED if match[1] else match[0], data)
        if mended == data:
            raise
        found = _index.decode(mended)
    for records in (found.packages, found.packages_conda):
        records.update({name: _NO_RECORD for name, record in records.items() if _REPLACED in bytes(record)})
    return found


def _remove(found: _Repodata | _Shard, decode: Callable[[msgspec.Raw], Any], limit: int) -> list[tuple[str, str]]:
    """Take out the records of what the upstream says to be removed; return what was wrong with that list.

    One of more than `limit` bytes is passed over: a few kilobytes of zstd can stand for gigabytes of objects.
    """
    if (size := memoryview(found.removed).nbytes) > limit:
        return [("removed", f"The list of what is removed has {size:,} bytes; at most {limit:,} are read.")]
    try:
        value = decode(found.removed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return [("removed", f"The list of what is removed cannot be read: {error}.")]
    items = value if isinstance(value, list) else [value]
    names = [item for item in items if isinstance(item, str)]
    for name in names:
        found.packages.pop(name, None)
        found.packages_conda.pop(name, None)
    faults = len(items) - len(names)
    return [("removed", f"{faults} of what the upstream says to be removed is no file name.")] if faults else []


def _later_records(records: msgspec.Raw) -> int:
    try:
        return len(_later.decode(records))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0


def parse_shard_index(data: bytes) -> ShardIndex:
    """Parse a compressed shard index.

    Malformed when it is ill-formed, expands beyond `SHARD_INDEX_LIMIT` or has more than a million names.
    """
    try:
        index = _shard_index.decode(unzstd(data, SHARD_INDEX_LIMIT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The upstream shard index cannot be read: {error}.") from error
    if (count := len(index.shards)) > _MOST_NAMES:
        raise Malformed(f"The upstream shard index has {count:,} names; at most {_MOST_NAMES:,} are read.")
    if any(len(digest) != 32 for digest in index.shards.values()):
        raise Malformed("The upstream shard index has a hash that is no SHA-256.")
    return index


def parse_shard(data: bytes) -> UpstreamIndex:
    """Parse one compressed shard; its records come back as JSON text with hex hashes, as in repodata.json.

    Malformed when it is ill-formed or expands beyond `SHARD_LIMIT`.
    """
    try:
        shard = _shard.decode(unzstd(data, SHARD_LIMIT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"The upstream shard cannot be read: {error}.") from error
    faults = _remove(shard, msgspec.msgpack.decode, _SHARD_REMOVED_LIMIT)
    return UpstreamIndex(_as_text(shard.packages), _as_text(shard.packages_conda), faults=faults)


def _as_text(records: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    return {name: _text(record) for name, record in records.items()}


def _text(text: msgspec.Raw) -> msgspec.Raw:
    try:
        check_size(text, "The record")
        record = msgspec.msgpack.decode(text)
        return msgspec.Raw(canonical_json(from_msgpack(record))) if isinstance(record, dict) else _NO_RECORD
    except (Malformed, msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return _NO_RECORD


def source_hash(record: msgspec.Raw | bytes) -> int:
    """Return xxh3-64 of a record's raw text as a signed 64-bit integer: equal means unchanged since last time."""
    unsigned = xxhash.xxh3_64_intdigest(memoryview(record))
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned


def separate_url(record: msgspec.Raw | bytes, *, signed: bool = False) -> tuple[dict[str, Any], str | None]:
    """Return the record as an object without its `ADDRESSES`, and its `url`, which only a mirror may use.

    Malformed when the record is no JSON object, and for a `signed` one with an absolute address: without it the
    signature would not fit, and with it clients would be sent past this server.
    """
    found = decode_record(record)
    url = found.get("url")
    for key in ADDRESSES:
        if key not in found:
            continue
        if signed and "//" in str(found[key]):
            raise Malformed(f"The record is signed and has the absolute address {key}, which cannot be passed on.")
        if not signed:
            del found[key]
    if not isinstance(url, str):
        return found, None
    if "\0" in url:
        raise Malformed("The url of the record holds the character U+0000.")
    return found, url
