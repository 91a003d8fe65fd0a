"""Signed keys: the JWT a login gives out, which old and new clients decode without checking it.

Signed with RS256 (`catalog/grants/signing_keys.py`). It names a row of `login`, which is what can be ended and says
whose it is; what it says about rights is for the clients to read, the server looks the account up again.
"""

from __future__ import annotations

import json
import re
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from packhouse.core.clock import DAY, SECOND

ALGORITHM = "RS256"
ISSUER = "packhouse"
LIFETIME = DAY  #: of a login with a password, in microseconds

_KID = re.compile(r"[A-Za-z0-9]{1,64}")
#: characters that would put `-` or `_` into the base64 text, as JSON escapes
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in ">?~\x7f"}


class Session(msgspec.Struct, frozen=True):
    """The claims the server itself reads."""

    login: str  #: the uuid of the row
    expires_at: int  #: microseconds since the epoch


def sign(claims: dict[str, Any], kid: str, private: RSAPrivateKey) -> str:
    """Return a signed JWT.

    The payload segment contains no `-` and no `_`: conda-repo-cli decodes it with the standard base64 alphabet. ASCII
    text yields these two only through four characters, and inside JSON strings those can be written as escapes.
    """
    text = json.dumps(claims, separators=(",", ":")).translate(_ESCAPES)
    return jwt.PyJWS().encode(text.encode("ascii"), private, ALGORITHM, headers={"typ": "JWT", "kid": kid})


def kid_of(token: str) -> str | None:
    """Return which key a JWT says it was signed with; None when it does not say so in our way."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    return kid if isinstance(kid, str) and _KID.fullmatch(kid) else None


def read(token: str, key: RSAPublicKey, now: int) -> Session | None:
    """Return what a JWT of ours says, or None if it is expired, altered, of another algorithm, or not ours at all."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,  # an ID token has another, so that it opens nothing
            # expiry is checked below, against the database's clock
            options={"require": ["exp", "sub", "iss"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        login, expires_at = claims["sid"], int(claims["exp"]) * SECOND
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
    return Session(login, expires_at) if isinstance(login, str) and now < expires_at else None
