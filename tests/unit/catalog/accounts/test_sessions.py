"""The JWT of a login: what old and new clients need of it, and what the server refuses."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.accounts import sessions
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.accounts.credential import opaque
from packhouse.core.clock import DAY, SECOND

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = 1_800_000_000 * SECOND


def account(username: str = "ann") -> Account:
    return Account(7, username, "admin", None, 3, None, 0)


@given(st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"])) | st.text(">?~\x7f_-{}/ab"))
def test_the_old_client_decodes_the_payload_with_the_standard_alphabet(username: str) -> None:
    token = sessions.issue(account(username), KEY, NOW)
    payload = token.split(".")[1]
    assert not set(payload) & set("-_")
    claims = json.loads(base64.b64decode(payload + "==="[: -len(payload) % 4], validate=True))
    assert claims["realm_access"]["roles"] == ["admin"]
    assert claims["preferred_username"] == username
    assert claims["exp"] == (NOW + DAY) // SECOND
    assert claims["sub"] == "7"


def test_it_is_told_from_a_token_by_its_shape() -> None:
    assert opaque(sessions.issue(account(), KEY, NOW)).kind == "session"


def test_a_session_ends() -> None:
    token = sessions.issue(account(), KEY, NOW)
    assert sessions.read(token, KEY, NOW) == sessions.Session(7, 3, NOW + DAY)
    assert sessions.read(token, KEY, NOW + DAY - 1) is not None
    assert sessions.read(token, KEY, NOW + DAY) is None


GOOD = {"iss": "packhouse", "sub": "7", "sessions": 3, "exp": NOW // SECOND + 60}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode(GOOD, OTHER, "HS256"),
        jwt.encode(GOOD, KEY * 2, "HS512"),
        jwt.encode(GOOD, "", "none"),
        jwt.encode({**GOOD, "iss": "elsewhere"}, KEY, "HS256"),
        jwt.encode({**GOOD, "exp": NOW // SECOND - 1}, KEY, "HS256"),
        jwt.encode({**GOOD, "exp": "never"}, KEY, "HS256"),
        jwt.encode({**GOOD, "sub": "root"}, KEY, "HS256"),
        jwt.encode({**GOOD, "sessions": None}, KEY, "HS256"),
        jwt.encode({**GOOD, "sessions": []}, KEY, "HS256"),
        *(jwt.encode(without(name), KEY, "HS256") for name in GOOD),
        jwt.encode(GOOD, KEY, "HS256")[:-4] + "AAAA",
        jwt.encode(GOOD, KEY, "HS256").replace(".", "..", 1),
        jwt.encode(GOOD, KEY, "HS256").rsplit(".", 1)[0] + ".",
        jwt.encode(GOOD, KEY, "HS256", headers={"crit": ["x"], "x": 1}),
        "a.b.c",
        "eyJ.eyJ.x",
        jwt.PyJWS().encode(b"[]", KEY, "HS256"),
        jwt.PyJWS().encode(b"\xff", KEY, "HS256"),
        jwt.PyJWS().encode(b"[" * 100_000, KEY, "HS256"),
    ],
)
def test_forged_and_broken_ones_are_refused(token: str) -> None:
    assert sessions.read(jwt.encode(GOOD, KEY, "HS256"), KEY, NOW) is not None
    assert sessions.read(token, KEY, NOW) is None


@given(st.from_regex(r"[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,40}", fullmatch=True))
def test_anything_of_that_shape_is_refused_quietly(token: str) -> None:
    assert sessions.read(token, KEY, NOW) is None
