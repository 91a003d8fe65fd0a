"""Signatures of conda records, as conda-content-trust makes them and conda checks them.

`repodata.json` has `signatures: {file name: {public key: {"signature": hex}}}`; what is signed is the record as
`json.dumps(record, indent=2, sort_keys=True)` writes it, with Ed25519. The record is verified as this server passes it
on: whoever asks for it sees the same bytes that were found true.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from packhouse.security.signing.keys import is_key

#: keys of one record that are tried, in their order: a record with thousands must not cost seconds
MOST_KEYS = 8
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


def signers(record: bytes, signatures: str | bytes) -> tuple[str, ...]:
    """Return the public keys whose signature of a record is true, in order; never raises.

    `record` is its JSON text in whatever order and spacing, `signatures` the JSON object of its signatures by key. A
    signature that conda itself would not take is none: other members than `signature`, capitals, a key anybody can
    sign for.
    """
    try:
        said = msgspec.json.decode(signatures, type=dict[str, Any])
        wanted = [(key, given["signature"]) for key, given in sorted(said.items()) if is_key(key) and _given(given)]
        message = signed_bytes(json.loads(record)) if wanted else b""
    except (ValueError, RecursionError):
        return ()
    return tuple(key for key, signature in wanted[:MOST_KEYS] if _true(key, signature, message))


def signed_bytes(record: Any) -> bytes:
    """Return what a signature of a record is made of (conda-content-trust, `canonserialize`)."""
    return json.dumps(record, indent=2, sort_keys=True).encode()


def _given(signature: Any) -> bool:
    if not isinstance(signature, dict) or signature.keys() != {"signature"}:
        return False
    text = signature["signature"]
    return isinstance(text, str) and _SIGNATURE.fullmatch(text) is not None


def _true(key: str, signature: str, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), message)
    except InvalidSignature:
        return False
    return True
