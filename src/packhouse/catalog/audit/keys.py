"""The key that signs the audit chain: made once, kept in the table `secret`, shared by all processes."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from packhouse.catalog.accounts import store
from packhouse.catalog.audit.store import record_event
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.randomness import random_bytes

NAME = "audit-signing"


async def load_signing_key(db: Database) -> Ed25519PrivateKey:
    """Return the key, making it if there is none; two starting processes end up with the same one."""
    known = await store.secrets(db, (NAME,))
    return Ed25519PrivateKey.from_private_bytes(known[NAME] if known else await db.write(_make))


async def find_public_key(reader: Reader) -> Ed25519PublicKey | None:
    """Return the key that checks the chain; None when nothing was ever signed."""
    known = await store.secrets(reader, (NAME,))
    return Ed25519PrivateKey.from_private_bytes(known[NAME]).public_key() if known else None


async def _make(unit: Unit) -> bytes:
    if await store.add_secret(unit, NAME, random_bytes(32)):
        await record_event(unit, type="installation_keys_created", actor="system", object="keys", data={"keys": [NAME]})
    return (await store.secrets(unit, (NAME,)))[NAME]
