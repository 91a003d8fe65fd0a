"""Records signed as conda-content-trust signs them."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Signer:
    """Somebody with a key pair, the same for the same number."""

    def __init__(self, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        self.public = self._key.public_key().public_bytes_raw().hex()

    def sign(self, record: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Return the signatures of a record: one, by this key."""
        text = json.dumps(record, indent=2, sort_keys=True).encode("utf-8")
        return {self.public: {"signature": self._key.sign(text).hex()}}
