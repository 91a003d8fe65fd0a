"""The audit trail as lines: a start, the events, and a signed head, so that others can check it without us.

As JSON lines it is what `scripts/verify_audit.py` reads. Each export begins where one before it ended, if asked to, so
that exports one after the other are one chain. What was filtered is no chain, and says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from packhouse.catalog.audit import store
from packhouse.catalog.audit.chain import HASHED, hashed
from packhouse.catalog.installation.audit_key import find_public_key
from packhouse.core.clock import to_iso
from packhouse.core.db import Database, Row
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.sealing import Sealer
from packhouse.core.tables import csv_lines

#: of the table for spreadsheets
COLUMNS = ("number", "id", "time", "type", "actor", "object", "data", "hash", "signature")

_encode = msgspec.json.Encoder().encode


class Head(msgspec.Struct, frozen=True):
    """An end of the chain: who keeps one can tell later whether anything before it was changed."""

    seq: int  #: number of the event; 0: there is none yet
    hash: str  #: hexadecimal SHA-256 over the hash before it and the event
    signature: str | None  #: hexadecimal Ed25519 of the hash; only the last event that is sealed at a time has one
    public_key: str | None  #: hexadecimal, what the signature is checked with


async def head(reader: Reader, sealer: Sealer, seq: int | None = None) -> Head:
    """Return the chain's end, or the link with that number. Raises PackhouseError("bad_request") beyond the end."""
    key = await find_public_key(reader, sealer)
    return await _head(reader, seq, None if key is None else key.public_bytes_raw().hex())


async def _head(reader: Reader, seq: int | None, public_key: str | None) -> Head:
    number = (await store.last_sealed(reader))[0] if seq is None else seq
    link = (b"", None) if number == 0 else await store.find_link(reader, number)
    if link is None:
        raise PackhouseError(
            "bad_request", f"The audit trail has no event number {number} yet.", "`after`: the number of a head."
        )
    return Head(number, link[0].hex(), _hex(link[1]), public_key)


async def json_lines(
    db: Database, start: Head, given: Mapping[str, Any], end: Head | None = None
) -> AsyncIterator[bytes]:
    """Yield the events behind `start` that pass the filters `given`, between a line that says so and the head.

    They are those up to `end`, or as many as there are.
    """
    yield _encode({"start": {"seq": start.seq, "hash": start.hash, "filters": dict(given)}}) + b"\n"
    last, digest = start.seq, bytes.fromhex(start.hash)
    async for rows in _events(db, start, given, end):
        lines = []
        for row in rows:
            lines.append(_encode(_line(row, digest)) + b"\n")
            last, digest = row[store.SEQ], bytes(row[store.HASH])
        yield b"".join(lines)
    yield _encode({"head": end or await _head(db, None if given else last, start.public_key)}) + b"\n"


async def csv_table(
    db: Database, start: Head, given: Mapping[str, Any], end: Head | None = None
) -> AsyncIterator[bytes]:
    """Yield the same events as a table for spreadsheets, which cannot be checked."""
    yield csv_lines([COLUMNS])
    async for rows in _events(db, start, given, end):
        yield csv_lines(_cells(row) for row in rows)


def _events(db: Database, start: Head, given: Mapping[str, Any], end: Head | None) -> AsyncIterator[list[Row]]:
    if end is None:
        return store.sealed_events(db, start.seq, given)
    return store.sealed_events(db, start.seq, given, upto=end.seq)


def _line(row: Row, previous: bytes) -> dict[str, Any]:
    seq, digest, signature = row[store.SEQ], bytes(row[store.HASH]).hex(), _hex(row[store.SIGNATURE])
    return {"seq": seq, "event": hashed(previous, row) or list(row[:HASHED]), "hash": digest, "signature": signature}


def _cells(row: Row) -> tuple[object, ...]:
    event_id, at, type_, actor, _, about, data = row[:7]
    digest, signature = bytes(row[store.HASH]).hex(), _hex(row[store.SIGNATURE])
    return (row[store.SEQ], event_id, to_iso(at), type_, actor, about, data, digest, signature)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).hex()
