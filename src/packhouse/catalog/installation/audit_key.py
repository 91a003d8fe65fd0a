"""The key that signs the audit chain: made once, shared by all processes."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from packhouse.catalog.installation import sealed_keys
from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.core.sealing import Sealer


async def load_signing_key(db: Database, sealer: Sealer) -> Ed25519PrivateKey:
    """Return the key, making it if there is none; raises as `sealed_keys.load`."""
    return Ed25519PrivateKey.from_private_bytes(await sealed_keys.load(db, sealer, sealed_keys.AUDIT_SIGNING))


async def find_public_key(reader: Reader, sealer: Sealer) -> Ed25519PublicKey | None:
    """Return the key that checks the chain; None when nothing was ever signed. Raises what `Sealer.open` raises.

    It is taken from the sealed one: who only writes to the database puts no other in its place, unless the server
    starts after it, and then the event `secrets_sealed` tells of a key that lay there readably.
    """
    known = await sealed_keys.find(reader, sealer, sealed_keys.AUDIT_SIGNING)
    return Ed25519PrivateKey.from_private_bytes(known).public_key() if known else None
