"""Ed25519 public keys as administrators and indexes write them: 64 lower-case hexadecimal digits (RFC 8032).

Keys of other kinds of signatures would come beside this, each with a module that verifies its kind: attestations of
Python files (PEP 740) and of conda ones (CEP 27) name an identity, which a certificate and a log vouch for, so their
"key" is that identity; what they sign is the digest of the file, not its record, so what is found true belongs to the
content. `catalog.signing` would say so for a content as it does for a record now, and rules would not notice.
"""

from __future__ import annotations

import re

from packhouse.core.errors import PackhouseError

_HEX = re.compile(r"[0-9a-f]{64}")
_SIGN = 0x80  #: the bit of the last byte that tells two points apart
#: Points of small order, whose signatures anybody can make; without the sign bit, also in the two ways to write more
#: than the prime (RFC 8032 section 5.1.7 leaves refusing them to the verifier).
_WEAK = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


def is_key(text: str) -> bool:
    """Tell whether a text is a public key whose signatures say anything."""
    if not _HEX.fullmatch(text):
        return False
    raw = bytes.fromhex(text)
    return raw[:-1] + bytes([raw[-1] & ~_SIGN]) not in _WEAK


def read_key(text: str) -> bytes:
    """Return the 32 bytes of a public key written in hexadecimal. Raises PackhouseError("bad_request")."""
    written = text.strip().lower()
    if is_key(written):
        return bytes.fromhex(written)
    if _HEX.fullmatch(written):
        raise PackhouseError(
            "bad_request", "Anybody can make signatures that fit this key.", "Ask the publisher for the real one."
        )
    raise PackhouseError(
        "bad_request",
        f"`key`: {text[:80]!r} is no Ed25519 public key.",
        "Write its 32 bytes as 64 hexadecimal digits, as they stand among the `signatures` of a repodata.json.",
    )
