"""Sessions: the JWT a login gives out, which old and new clients decode without checking it.

Signed with HS256 under a secret of the installation; nobody else needs to verify it yet. What it says about rights is
for the clients to read: the server looks the account up again.
"""

from __future__ import annotations

import json
from typing import Any

import jwt
import msgspec

from packhouse.catalog.accounts.account import Account
from packhouse.core.clock import DAY, SECOND
from packhouse.core.randomness import random_hex

ALGORITHM = "HS256"
ISSUER = "packhouse"
LIFETIME = DAY  #: of a login, in microseconds

#: characters that would put `-` or `_` into the base64 text, as JSON escapes
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in ">?~\x7f"}


class Session(msgspec.Struct, frozen=True):
    """The claims the server itself reads."""

    account_id: int
    sessions: int  #: must equal the account's, see `schema.account`
    expires_at: int  #: microseconds since the epoch


def issue(account: Account, key: bytes, now: int, lifetime: int = LIFETIME) -> str:
    """Return a signed JWT for `account`; `now` and `lifetime` in microseconds.

    The payload segment contains no `-` and no `_`: conda-repo-cli decodes it with the standard base64 alphabet. ASCII
    text yields these two only through four characters, and inside JSON strings those can be written as escapes.
    """
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": str(account.id),
        "preferred_username": account.username,
        "realm_access": {"roles": [account.role]},
        "sessions": account.sessions,
        "iat": now // SECOND,
        "exp": (now + lifetime) // SECOND,
        "jti": random_hex(8),
    }
    text = json.dumps(claims, separators=(",", ":")).translate(_ESCAPES)
    return jwt.PyJWS().encode(text.encode("ascii"), key, ALGORITHM, headers={"typ": "JWT"})


def read(token: str, key: bytes, now: int) -> Session | None:
    """Return what a JWT of ours says, or None if it is expired, altered, of another algorithm, or not ours at all."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            # expiry is checked below, against the database's clock
            options={"require": ["exp", "sub", "iss"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        session = Session(int(claims["sub"]), int(claims["sessions"]), int(claims["exp"]) * SECOND)
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None
    return session if now < session.expires_at else None
