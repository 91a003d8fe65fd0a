"""The JWT of a login: what old and new clients need of it, and what the server refuses."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.logins import sessions
from packhouse.core.clock import SECOND
from packhouse.workflows.admitting.credential import opaque

KEY, OTHER = generate_private_key(65537, 2048), generate_private_key(65537, 2048)
PUBLIC = KEY.public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NOW = 1_800_000_000 * SECOND
GOOD = {"iss": "packhouse", "sub": "2b5c", "sid": "a-login", "exp": NOW // SECOND + 60}


def signed(claims: dict[str, Any], key: RSAPrivateKey = KEY, algorithm: str = "RS256", **headers: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers=headers)


@given(st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"])) | st.text(">?~\x7f_-{}/ab"))
def test_the_old_client_decodes_the_payload_with_the_standard_alphabet(username: str) -> None:
    claims = {**GOOD, "preferred_username": username, "realm_access": {"roles": ["admin"]}}
    payload = sessions.sign(claims, "k1", KEY).split(".")[1]
    assert not set(payload) & set("-_")
    assert json.loads(base64.b64decode(payload + "==="[: -len(payload) % 4], validate=True)) == claims


def test_it_is_told_from_a_token_by_its_shape_and_names_its_key() -> None:
    token = sessions.sign(GOOD, "k1", KEY)
    assert opaque(token).kind == "session"
    assert sessions.kid_of(token) == "k1"
    assert jwt.get_unverified_header(token)["alg"] == "RS256"


def test_it_ends() -> None:
    token = sessions.sign(GOOD, "k1", KEY)
    expires_at = NOW + 60 * SECOND
    assert sessions.read(token, PUBLIC, NOW) == sessions.Session("a-login", expires_at)
    assert sessions.read(token, PUBLIC, expires_at - 1) is not None
    assert sessions.read(token, PUBLIC, expires_at) is None


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key != name}


def hs256_under_the_public_key() -> str:
    """As an attacker makes it; PyJWT refuses to, so the parts are put together by hand."""
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"k1"}')
    message = head + b"." + jwt.utils.base64url_encode(json.dumps(GOOD).encode())
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(message, PEM)
    return (message + b"." + jwt.utils.base64url_encode(signature)).decode()


@pytest.mark.parametrize(
    "token",
    [
        signed(GOOD, OTHER),
        signed(GOOD, algorithm="RS512"),
        signed(GOOD, algorithm="PS256"),
        jwt.encode(GOOD, b"k" * 32, "HS256"),
        jwt.encode(GOOD, "", "none"),
        hs256_under_the_public_key(),
        signed({**GOOD, "iss": "elsewhere"}),
        signed({**GOOD, "iss": "https://packages.example.org"}),
        signed({**GOOD, "aud": "a-client"}),  # an ID token is for its client
        signed({**GOOD, "exp": NOW // SECOND - 1}),
        signed({**GOOD, "exp": "never"}),
        signed({**GOOD, "exp": float("inf")}),
        signed({**GOOD, "sid": None}),
        signed({**GOOD, "sid": ["a-login"]}),
        *(signed(without(name)) for name in GOOD),
        signed(GOOD)[:-4] + "AAAA",
        signed(GOOD).replace(".", "..", 1),
        signed(GOOD).rsplit(".", 1)[0] + ".",
        signed(GOOD, crit=["x"], x=1),
        "a.b.c",
        "eyJ.eyJ.x",
        jwt.PyJWS().encode(b"[]", KEY, "RS256"),
        jwt.PyJWS().encode(b"\xff", KEY, "RS256"),
        jwt.PyJWS().encode(b"[" * 100_000, KEY, "RS256"),
    ],
)
def test_forged_and_broken_ones_are_refused(token: str) -> None:
    assert sessions.read(signed(GOOD), PUBLIC, NOW) is not None
    assert sessions.read(token, PUBLIC, NOW) is None


@pytest.mark.parametrize("kid", ["", "../../etc/passwd", "a b", "x" * 65, "k1'--", "k1\0"])
def test_odd_names_of_keys_are_not_looked_for(kid: str) -> None:
    assert sessions.kid_of(signed(GOOD, kid=kid)) is None


def test_an_unsigned_one_and_one_without_a_key_name_no_key() -> None:
    assert sessions.kid_of(signed(GOOD)) is None
    assert sessions.kid_of("a.b.c") is None
    deep = jwt.utils.base64url_encode(b'{"alg":' + b"[" * 100_000).decode()
    assert sessions.kid_of(deep + ".e30.e30") is None


@given(st.from_regex(r"[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,40}", fullmatch=True))
def test_anything_of_that_shape_is_refused_quietly(token: str) -> None:
    assert sessions.kid_of(token) is None
    assert sessions.read(token, PUBLIC, NOW) is None
