"""The secrets of the installation: made once, kept in the table `secret`, shared by all its processes."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from packhouse.catalog.accounts import store
from packhouse.catalog.audit.store import record_event
from packhouse.core.db import Database, Unit
from packhouse.core.randomness import random_bytes

NAMES = ("token-hashing",)


class Keys(msgspec.Struct, frozen=True):
    """32 random bytes each; another one ends all tokens and cookies."""

    token: bytes

    def __repr__(self) -> str:
        return "Keys(…)"

    def hash_of(self, kind: str, *secrets: str) -> bytes:
        """Return the keyed hash (HMAC-SHA256) under which a credential is stored or remembered.

        The lengths are part of what is hashed, so that no two lists of secrets give the same hash.
        """
        message = "\0".join((kind, *(f"{len(secret)}:{secret}" for secret in secrets)))
        return hmac.digest(self.token, message.encode("utf-8", "surrogatepass"), hashlib.sha256)


async def load_keys(db: Database) -> Keys:
    """Return the keys, making those that are missing; two starting processes end up with the same ones."""
    found = await store.secrets(db, NAMES)
    if len(found) < len(NAMES):
        found = await db.write(_make)
    return Keys(token=found["token-hashing"])


async def _make(unit: Unit) -> dict[str, bytes]:
    made = [name for name in NAMES if await store.add_secret(unit, name, random_bytes(32))]
    if made:
        await record_event(unit, type="installation_keys_created", actor="system", object="keys", data={"keys": made})
    return await store.secrets(unit, NAMES)
