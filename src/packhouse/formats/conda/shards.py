"""Sharded repodata (CEP 16): one shard for each name, and the index of a subdir's shards.

Everything here is a join of bytes that were encoded when the record was first seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

import msgspec

from packhouse.formats.base import Malformed
from packhouse.formats.conda.splice import Extra, encode_map_header, splice_msgpack

#: filename, the record as msgpack, and what the channel adds to it (None: nothing, as for a signed record)
ShardEntry = tuple[str, bytes, Extra | None]

_msgpack = msgspec.msgpack.Encoder(order="deterministic")
_EMPTY_REMOVED = _msgpack.encode("removed") + b"\x90"
_PACKAGES = _msgpack.encode("packages")
_PACKAGES_CONDA = _msgpack.encode("packages.conda")


def render_shard(entries: Iterable[ShardEntry]) -> bytes:
    """Return the uncompressed shard of one name: `{packages, packages.conda, removed}`, entries by file name."""
    bz2: list[bytes] = []
    conda: list[bytes] = []
    encode = _msgpack.encode
    for filename, record, extra in sorted(entries, key=itemgetter(0)):
        pieces = conda if filename.endswith(".conda") else bz2
        pieces += (encode(filename), splice_msgpack(record, extra) if extra else record)
    return b"".join(
        (
            b"\x83",
            *(_PACKAGES, encode_map_header(len(bz2) // 2), *bz2),
            *(_PACKAGES_CONDA, encode_map_header(len(conda) // 2), *conda),
            _EMPTY_REMOVED,
        )
    )


def shard_filenames(shard: bytes) -> list[str]:
    """Return the files that an uncompressed shard of ours shows. Malformed for what is none."""
    try:
        found = _names.decode(shard)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The shard cannot be read: {error}.") from error
    return [*found.packages, *found.conda]


class _Names(msgspec.Struct):
    packages: dict[str, msgspec.Raw]
    conda: dict[str, msgspec.Raw] = msgspec.field(name="packages.conda")


_names = msgspec.msgpack.Decoder(_Names)


def render_shard_index(
    subdir: str, created_at: str, shards: Iterable[tuple[str, bytes]], shards_base_url: str, base_url: str = ""
) -> bytes:
    """Return the uncompressed shard index of a subdir.

    `shards` gives each name with the 32 raw bytes of the SHA-256 of its *compressed* shard; `created_at` is the commit
    time of the revision as ISO 8601 text, so that the same revision always gives the same bytes.
    """
    info = {"base_url": base_url, "created_at": created_at, "shards_base_url": shards_base_url, "subdir": subdir}
    return _msgpack.encode({"version": 1, "info": info, "shards": dict(shards)})
