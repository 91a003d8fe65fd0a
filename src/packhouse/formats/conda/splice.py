"""Add keys to a record that is already encoded, without decoding it.

Used for what the channel says of a file (CEP 47's `indexed_timestamp`), which never stands in the stored record.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

_json = msgspec.json.Encoder(order="deterministic")
_msgpack = msgspec.msgpack.Encoder(order="deterministic")


@cache
def _encoded(key: str) -> tuple[bytes, bytes]:
    """Return a key as it stands in JSON and in msgpack; there are only few, and they are asked for with each record."""
    return _json.encode(key), _msgpack.encode(key)


def splice_json(record: bytes, extra: Mapping[str, Any]) -> bytes:
    """Return the JSON object `record` with the keys of `extra` added at its end; a key it has already is replaced."""
    for key in extra:
        if _encoded(key)[0] in record:
            return _json.encode(msgspec.json.decode(record) | dict(extra))
    added = _json.encode(extra)
    if len(record) <= 2 or len(added) <= 2:
        return added if len(record) <= 2 else record
    return record[:-1] + b"," + added[1:]


def splice_msgpack(record: bytes, extra: Mapping[str, Any]) -> bytes:
    """Return the msgpack map `record` with the keys of `extra` added at its end; a key it has already is replaced."""
    body = b""
    for key in sorted(extra):
        encoded = _encoded(key)[1]
        if encoded in record:
            return _msgpack.encode(msgspec.msgpack.decode(record) | dict(extra))
        body += encoded + _msgpack.encode(extra[key])
    count, start = map_header(record)
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
