"""Whether a token really is this provider's word about somebody, given to us, now and for this sign-in. Pure.

OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725 (best current practice of JWTs), and Back-Channel Logout 1.0 section
2.6. What a token says about how it is to be checked (`jku`, `jwk`, `x5c`, `x5u`, `crit`) is never believed: a token
that has such a header is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt

#: seconds by which clocks may differ
LEEWAY = 60
MOST_CHARACTERS = 32 * 1024
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: what a key of each algorithm has to be
_KINDS = {
    **{name: {"kty": "RSA"} for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
_MINIMUM_RSA_BITS = 2048
_UNWANTED = frozenset({"crit", "jku", "jwk", "x5c", "x5u", "b64", "zip"})


class Untrusted(Exception):
    """A token that is not believed; the text, for the log only, says why and holds nothing of the token."""


class UnknownKey(Untrusted):
    """The provider shows no key of that name now; it may have a new one."""


def verify_id_token(
    token: str,
    keys: Sequence[Mapping[str, Any]],
    *,
    issuer: str,
    client_id: str,
    algorithms: Sequence[str],
    now: int,
    nonce_fits: Callable[[str], bool] | None,
    access_token: str | None = None,
) -> dict[str, Any]:
    """Return the claims of an ID token. `now` is in seconds; `nonce_fits` None: it answers a refresh, without a nonce.

    Raises Untrusted.
    """
    claims, algorithm = _signed(token, keys, algorithms, types=("jwt",))
    _check_parties(claims, issuer, client_id)
    _check_times(claims, now, ("exp", "iat"))
    if "events" in claims or claims.get("typ", "ID") != "ID":
        raise Untrusted("it is no ID token")
    _subject(claims)
    nonce = claims.get("nonce")
    if nonce_fits is not None and not (isinstance(nonce, str) and nonce_fits(nonce)):
        raise Untrusted("its nonce is not that of this sign-in")
    if "at_hash" in claims and not _hash_fits(claims["at_hash"], access_token, algorithm):
        raise Untrusted("its at_hash is not that of the access token")
    return claims


def verify_logout_token(
    token: str,
    keys: Sequence[Mapping[str, Any]],
    *,
    issuer: str,
    client_id: str,
    algorithms: Sequence[str],
    now: int,
) -> tuple[str | None, str | None]:
    """Return (sid, sub) of a logout token, one of which is there. Raises Untrusted."""
    claims, _ = _signed(token, keys, algorithms, types=("jwt", "logout+jwt"))
    _check_parties(claims, issuer, client_id)
    _check_times(claims, now, ("iat",))
    if now - claims["iat"] > 600 + LEEWAY:
        raise Untrusted("it is old")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict) or "nonce" in claims:
        raise Untrusted("it is no logout token")
    sid = claims.get("sid")
    subject = _subject(claims) if "sub" in claims else None
    if sid is not None and not (isinstance(sid, str) and sid):
        raise Untrusted("its sid is no text")
    if sid is None and subject is None:
        raise Untrusted("it names neither a session nor a person")
    return sid, subject


def _signed(
    token: str, keys: Sequence[Mapping[str, Any]], algorithms: Sequence[str], types: Sequence[str]
) -> tuple[dict[str, Any], str]:
    header = _header(token)
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm not in _KINDS:
        raise Untrusted("its algorithm is not allowed")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise Untrusted("it is another type of token")
    if unwanted := _UNWANTED & header.keys():
        raise Untrusted(f"its header has {sorted(unwanted)[0]}")
    key = _key(keys, kid, algorithm)
    try:
        payload = jwt.PyJWS().decode(token, key.key, algorithms=[algorithm])
        claims = json.loads(payload, object_pairs_hook=_once)
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, ValueError, TypeError, RecursionError):
        raise Untrusted("its signature is wrong, or it holds no JSON object") from None
    if not isinstance(claims, dict):
        raise Untrusted("it holds no JSON object")
    return claims, algorithm


def _header(token: str) -> dict[str, Any]:
    if len(token) > MOST_CHARACTERS or token.count(".") != 2 or not token.isascii():
        raise Untrusted("it is no signed JWT")
    text = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), object_pairs_hook=_once)
    except (binascii.Error, ValueError, RecursionError):
        raise Untrusted("its header cannot be read") from None
    if not isinstance(header, dict):
        raise Untrusted("its header is no JSON object")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member twice")
    return found


def _key(keys: Sequence[Mapping[str, Any]], kid: Any, algorithm: str) -> jwt.PyJWK:
    """Return the provider's key of that name; without a name, its only one."""
    if kid is not None and not isinstance(kid, str):
        raise Untrusted("its key has no name but something else")
    fitting = [
        key
        for key in keys
        if key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and all(key.get(name) == value for name, value in _KINDS[algorithm].items())
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fitting) != 1:
        raise UnknownKey("the provider shows no such key, or several")
    try:
        key = jwt.PyJWK(dict(fitting[0]), algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Untrusted("the provider's key cannot be used") from None
    if getattr(key.key, "key_size", _MINIMUM_RSA_BITS) < _MINIMUM_RSA_BITS and _KINDS[algorithm]["kty"] == "RSA":
        raise Untrusted("the provider's key is too short")
    return key


def _check_parties(claims: Mapping[str, Any], issuer: str, client_id: str) -> None:
    if claims.get("iss") != issuer:
        raise Untrusted("it is another issuer's")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client_id not in audiences:
        raise Untrusted("it is not for us")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise Untrusted("it was given to another client")


def _check_times(claims: Mapping[str, Any], now: int, needed: Sequence[str]) -> None:
    for name in {"exp", "iat", "nbf"} & {*claims, *needed}:
        value = claims.get(name)
        # NaN and infinity are numbers to Python's JSON, and no comparison with NaN is true
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
            raise Untrusted(f"its {name} is no time")
        if (value <= now - LEEWAY) if name == "exp" else (value > now + LEEWAY):
            raise Untrusted(f"its {name} has passed" if name == "exp" else f"its {name} lies ahead")


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise Untrusted("its sub is no text of 1 to 255 characters")
    return subject


def _hash_fits(said: Any, access_token: str | None, algorithm: str) -> bool:
    """Compare at_hash: the left half of the access token's hash (OpenID Connect Core 1.0 section 3.1.3.6)."""
    digest = {"256": hashlib.sha256, "384": hashlib.sha384}.get(algorithm[-3:], hashlib.sha512)
    if not isinstance(said, str) or access_token is None or not said.isascii():
        return False
    hashed = digest(access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode()
    return hmac.compare_digest(expected, said)
