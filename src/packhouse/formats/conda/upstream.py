"""What another channel's index says, read quickly and without trusting it: repodata.json and CEP 16 shards.

Records stay raw text until somebody needs them: parsing a million takes a second, and most have not changed.
"""

from __future__ import annotations

from typing import Any

import msgspec
import xxhash

from packhouse.formats.archives.limits import MIB
from packhouse.formats.archives.zstandard import unzstd
from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import is_subdir
from packhouse.formats.conda.record import canonical_json, decode_record, from_msgpack

#: the caps conda itself sets on decompressed sharded repodata
SHARD_INDEX_LIMIT = 128 * MIB
SHARD_LIMIT = 16 * MIB


class UpstreamInfo(msgspec.Struct):
    """The `info` of an index. `base_url` says where the files are, relative to the index when it is relative."""

    subdir: str | None = None
    base_url: str | None = None
    shards_base_url: str | None = None


class UpstreamIndex(msgspec.Struct, rename={"packages_conda": "packages.conda"}):
    """A repodata.json or one shard: file name to the raw JSON text of its record.

    `v3` holds the records of later revisions apart, by extension: old clients could not read them.
    """

    info: UpstreamInfo = msgspec.field(default_factory=UpstreamInfo)
    packages: dict[str, msgspec.Raw] = {}
    packages_conda: dict[str, msgspec.Raw] = {}
    removed: list[str] = []
    signatures: dict[str, msgspec.Raw] = {}
    v3: dict[str, dict[str, msgspec.Raw]] = {}


class ShardIndex(msgspec.Struct):
    """A shard index: package name to the 32 raw bytes of the SHA-256 of its compressed shard."""

    info: UpstreamInfo
    shards: dict[str, bytes]
    version: int = 1


class _Shard(msgspec.Struct, rename={"packages_conda": "packages.conda"}):
    packages: dict[str, dict[str, Any]] = {}
    packages_conda: dict[str, dict[str, Any]] = {}
    removed: list[str] = []


_index = msgspec.json.Decoder(UpstreamIndex)
_shard_index = msgspec.msgpack.Decoder(ShardIndex)
_shard = msgspec.msgpack.Decoder(_Shard)


def parse_repodata(data: bytes) -> UpstreamIndex:
    """Parse an uncompressed repodata.json; an empty one is an empty index (CEP 36). The records refer into `data`.

    Malformed when it is no JSON object of the known shape; unknown keys are passed over.
    """
    if not data.strip():
        return UpstreamIndex()
    try:
        return _checked(_index.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The upstream repodata.json cannot be read: {error}.") from error


def parse_shard_index(data: bytes) -> ShardIndex:
    """Parse a compressed shard index. Malformed when it is ill-formed or expands beyond `SHARD_INDEX_LIMIT`."""
    try:
        index = _shard_index.decode(unzstd(data, SHARD_INDEX_LIMIT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The upstream shard index cannot be read: {error}.") from error
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
    return UpstreamIndex(
        packages=_as_text(shard.packages), packages_conda=_as_text(shard.packages_conda), removed=shard.removed
    )


def _as_text(records: dict[str, dict[str, Any]]) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(canonical_json(from_msgpack(record))) for name, record in records.items()}


def _checked(index: UpstreamIndex) -> UpstreamIndex:
    if index.info.subdir is not None and not is_subdir(index.info.subdir):
        raise Malformed("The upstream repodata.json names a subdir that is none.")
    return index


def source_hash(record: msgspec.Raw | bytes) -> int:
    """Return xxh3-64 of a record's raw text as a signed 64-bit integer: equal means unchanged since last time."""
    unsigned = xxhash.xxh3_64_intdigest(memoryview(record))
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned


def separate_url(record: msgspec.Raw | bytes) -> tuple[dict[str, Any], str | None]:
    """Return the record as an object without its absolute `url`, and that url, which only a mirror may use.

    Malformed when the record is no JSON object.
    """
    found = decode_record(record)
    url = found.pop("url", None)
    return found, url if isinstance(url, str) else None
