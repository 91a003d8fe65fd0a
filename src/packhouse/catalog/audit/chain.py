"""The chain of events: each sealed event's hash covers the one before it, and is signed.

A chain head inside every transaction would serialise all writers, so a sealer adds numbers, hashes and signatures a
second later; `verify_chain` checks the whole and reports the tail that waits. Events become visible out
of order on PostgreSQL; the chain has the order of sealing, and every event carries its own time.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from packhouse.catalog.audit import store
from packhouse.core.db import Database, Row, Unit

BATCH = 2000
#: fields of an event that its hash covers
HASHED = len(store.SEALED)

_encode = msgspec.json.Encoder(order="deterministic").encode


def link(previous: bytes, fields: Sequence[Any]) -> bytes:
    """Return the hash of an event: SHA-256 over the previous hash and its fields as a canonical JSON array."""
    return hashlib.sha256(previous + _encode(list(fields))).digest()


def hashed(previous: bytes, row: Row) -> list[Any] | None:
    """Return what of a sealed event gives its hash; None when nothing does, so that something was altered.

    Events were once sealed without the channel that files left, which stands last: nothing vouches for it in those.
    """
    for fields in (list(row[:HASHED]), list(row[: HASHED - 1])):
        if link(previous, fields) == bytes(row[store.HASH]):
            return fields
    return None


async def seal(db: Database, key: Ed25519PrivateKey) -> int:
    """Add one batch of waiting events to the chain; return how many. Only one sealer runs at a time (a lease).

    The last event of the batch bears an Ed25519 signature of its hash, which vouches for all before it.
    """

    async def work(unit: Unit) -> int:
        rows = await store.unsealed(unit, BATCH)
        seq, digest = await store.last_sealed(unit)
        links: list[dict[str, Any]] = []
        for number, row in enumerate(rows, seq + 1):
            digest = link(digest, row)
            links.append({"event_id": row[0], "new_seq": number, "new_hash": digest, "new_signature": None})
        if links:
            links[-1]["new_signature"] = key.sign(digest)
            await store.seal(unit, links)
        return len(links)

    return await db.write(work)


async def verify_chain(db: Database, key: Ed25519PublicKey) -> AsyncIterator[str]:
    """Yield one sentence for each break of the chain: an altered, removed, reordered or forged event."""
    expected, digest, signature = 1, b"", None
    async for rows in store.sealed_events(db):
        for row in rows:
            seq, stored, signature = row[store.SEQ], bytes(row[store.HASH]), row[store.SIGNATURE]
            if seq != expected:
                yield f"audit event number {expected} is missing before number {seq}"
            if hashed(digest, row) is None:
                yield f"audit event number {seq} does not follow from the events before it"
            if signature is not None and not _vouched(key, bytes(signature), stored):
                yield f"audit event number {seq} bears a wrong signature"
            expected, digest = seq + 1, stored
    if expected > 1 and signature is None:
        yield f"audit event number {expected - 1} ends the chain without a signature"


def _vouched(key: Ed25519PublicKey, signature: bytes, digest: bytes) -> bool:
    try:
        key.verify(signature, digest)
    except InvalidSignature:
        return False
    return True
