"""What credentials are hashed with: the same in all processes of the installation."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from packhouse.catalog.installation import sealed_keys
from packhouse.core.db import Database
from packhouse.core.sealing import Sealer


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


async def load_keys(db: Database, sealer: Sealer) -> Keys:
    """Return the keys, made if there are none; raises as `sealed_keys.load`."""
    return Keys(token=await sealed_keys.load(db, sealer, sealed_keys.TOKEN_HASHING))
