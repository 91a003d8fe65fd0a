"""Add keys to a record that is already encoded, without decoding it.

Used for what the channel says of a file (CEP 47's `indexed_timestamp`), which never stands in the stored record.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

_json = msgspec.json.Encoder(order="deterministic")
_msgpack = msgspec.msgpack.Encoder(order="deterministic")


class Extra(NamedTuple):
    """What a channel adds to records: of many at once, so it is encoded once."""

    values: Mapping[str, Any]
    keys: tuple[tuple[bytes, bytes], ...]  #: as they stand in JSON and in msgpack
    json: bytes  #: its members and the brace that ends the record, without a comma before them
    packed: bytes  #: its pairs, without the header of a map


@lru_cache(maxsize=1024)
def indexed_at(milliseconds: int) -> Extra:
    """Return the extra that says since when a channel shows a file (CEP 47); many came at once."""
    return extra({"indexed_timestamp": milliseconds})


def extra(values: Mapping[str, Any]) -> Extra:
    """Encode what is to be added to records."""
    pairs = [(_msgpack.encode(key), _msgpack.encode(values[key])) for key in sorted(values)]
    keys = tuple((_json.encode(key), _msgpack.encode(key)) for key in values)
    return Extra(values, keys, _json.encode(values)[1:], b"".join(piece for pair in pairs for piece in pair))


def splice_json(record: bytes, added: Extra) -> bytes:
    """Return the JSON object `record` with the keys of `added` at its end; a key it has already is replaced."""
    for key, _ in added.keys:
        if key in record:
            return _json.encode(msgspec.json.decode(record) | dict(added.values))
    if len(record) <= 2:
        return b"{" + added.json
    return record[:-1] + b"," + added.json if added.keys else record


def splice_msgpack(record: bytes, added: Extra) -> bytes:
    """Return the msgpack map `record` with the keys of `added` at its end; a key it has already is replaced."""
    for _, key in added.keys:
        if key in record:
            return _msgpack.encode(msgspec.msgpack.decode(record) | dict(added.values))
    count, start = map_header(record)
    return encode_map_header(count + len(added.keys)) + record[start:] + added.packed


def map_header(data: bytes) -> tuple[int, int]:
    """Return how many pairs a msgpack map has and where the first one starts."""
    first = data[0]
    if first & 0xF0 == 0x80:
        return first & 0x0F, 1
    if first == 0xDE:
        return int(struct.unpack_from(">H", data, 1)[0]), 3
    if first == 0xDF:
        return int(struct.unpack_from(">I", data, 1)[0]), 5
    raise ValueError("not a msgpack map")


def encode_map_header(count: int) -> bytes:
    """Return the header of a msgpack map of `count` pairs, in its shortest form."""
    if count < 16:
        return bytes((0x80 | count,))
    if count < 1 << 16:
        return struct.pack(">BH", 0xDE, count)
    return struct.pack(">BI", 0xDF, count)
