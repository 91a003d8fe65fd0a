"""Add keys to a record that is already encoded, without decoding it.

Used for what the channel says of a file (CEP 47's `indexed_timestamp`), which never stands in the stored record.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

_json = msgspec.json.Encoder(order="deterministic")
_msgpack = msgspec.msgpack.Encoder(order="deterministic")


def splice_json(record: bytes, extra: Mapping[str, Any]) -> bytes:
    """Return the JSON object `record` with the keys of `extra` added at its end; a key it has already is replaced."""
    added = _json.encode(extra)
    if any(b'"' + key.encode() + b'"' in record for key in extra):
        return _json.encode(msgspec.json.decode(record) | dict(extra))
    if len(record) <= 2 or len(added) <= 2:
        return added if len(record) <= 2 else record
    return record[:-1] + b"," + added[1:]


def splice_msgpack(record: bytes, extra: Mapping[str, Any]) -> bytes:
    """Return the msgpack map `record` with the keys of `extra` added at its end; a key it has already is replaced."""
    if any(_msgpack.encode(key) in record for key in extra):
        return _msgpack.encode(msgspec.msgpack.decode(record) | dict(extra))
    count, start = map_header(record)
    body = b"".join(_msgpack.encode(key) + _msgpack.encode(extra[key]) for key in sorted(extra))
    return encode_map_header(count + len(extra)) + record[start:] + body


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
