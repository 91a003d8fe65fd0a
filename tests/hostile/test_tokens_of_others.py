"""What an identity provider never said: forged, stolen, replayed and mixed-up tokens let nobody in, in one text."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from tests.conftest import Backend
from tests.kit.asgi import Answer
from tests.kit.fake_idp import FakeIdp, Forge, b64, ec_key, fake_idp, identity_file, public_pem, rsa_key, unsigned
from tests.kit.house import House, open_house
from tests.kit.pages import Browser

Json = dict[str, Any]
SECOND_NUMBER = re.compile(rb"under [0-9a-f]{16}")


@pytest.fixture
async def idps() -> AsyncIterator[tuple[FakeIdp, FakeIdp]]:
    async with fake_idp("idp") as one, fake_idp("other") as two:
        yield one, two


@pytest.fixture
async def house(backend: Backend, idps: tuple[FakeIdp, FakeIdp], tmp_path: Path) -> AsyncIterator[House]:
    file = tmp_path / "identity.toml"
    file.write_text(identity_file(*idps, groups={"/science": "science"}))
    async with open_house(backend, identity_file=str(file)) as opened:
        yield opened


async def arrives(browser: Browser, idp: FakeIdp, at: str = "") -> Answer:
    """Sign in through a provider; `at`: come back to another one's address."""
    sent = await browser.get(f"/login/{idp.name}")
    assert sent.status == 303, sent.body
    return await browser.get(f"/login/{at or idp.name}/callback?{idp.come(sent.headers['location'])}")


def hmac_with_the_public_key(idp: FakeIdp, claims: Json) -> str:
    head = unsigned({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, claims).rsplit(".", 1)[0]
    return f"{head}.{b64(hmac.digest(public_pem(idp.name), head.encode(), hashlib.sha256))}"


def es256(key: Any, claims: Json, **header: Any) -> str:
    return jwt.encode(claims, key, "ES256", headers={"kid": "ec", **header})


def twisted(idp: FakeIdp, claims: Json) -> str:
    """Sign on a curve that ES256 does not have, and say it was its own."""
    head = unsigned({"alg": "ES256", "kid": "ec", "typ": "JWT"}, claims).rsplit(".", 1)[0]
    r, s = utils.decode_dss_signature(ec_key("twist", "secp256k1").sign(head.encode(), ec.ECDSA(SHA256())))
    return f"{head}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def own_jwk() -> Json:
    found: Json = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("mallory").public_key()))
    return found


def but(**changed: Any) -> Forge:
    """An honest signature under other claims; None takes one away."""
    return lambda idp, claims: idp.signed({k: v for k, v in {**claims, **changed}.items() if v is not None})


NOW = int(time.time())
LOGOUT: dict[str, dict[str, str]] = {"http://schemas.openid.net/event/backchannel-logout": {}}
VECTORS: dict[str, Forge] = {
    "alg none": lambda idp, claims: unsigned({"alg": "none", "typ": "JWT"}, claims),
    "alg None": lambda idp, claims: unsigned({"alg": "nOnE", "kid": "rsa"}, claims),
    "HS256 with the public key": hmac_with_the_public_key,
    "HS256 with the client secret": lambda idp, claims: jwt.encode(claims, "s3" * 16, "HS256", headers={"kid": "rsa"}),
    "signed by another key": lambda idp, claims: idp.signed(claims, "mallory"),
    "unknown kid": lambda idp, claims: idp.signed(claims, "mallory", kid="new"),
    "kid of a file": lambda idp, claims: idp.signed(claims, "mallory", kid="../../../../dev/null"),
    "kid with a query": lambda idp, claims: idp.signed(claims, "mallory", kid="rsa' OR '1'='1"),
    "kid a number": lambda idp, claims: unsigned({"alg": "RS256", "kid": 1}, claims, b"x" * 256),
    "jku": lambda idp, claims: idp.signed(claims, "mallory", jku="http://127.0.0.1:1/keys"),
    "jku with the right key": lambda idp, claims: idp.signed(claims, jku="http://127.0.0.1:1/keys"),
    "x5u": lambda idp, claims: idp.signed(claims, "mallory", x5u="http://127.0.0.1:1/cert"),
    "embedded JWK": lambda idp, claims: idp.signed(claims, "mallory", jwk=own_jwk()),
    "critical header": lambda idp, claims: idp.signed(claims, crit=["exp"], exp=NOW),
    "ES256 by another key": lambda idp, claims: es256(ec_key("mallory"), claims),
    "ES256 with a twisted curve": twisted,
    "ES256 with the name of the RSA key": lambda idp, claims: es256(ec_key(idp.name), claims, kid="rsa"),
    "ES256 without a signature": lambda idp, claims: unsigned({"alg": "ES256", "kid": "ec"}, claims, b"\0" * 64),
    "altered": lambda idp, claims: unsigned({"alg": "RS256", "kid": "rsa"}, {**claims, "sub": "s-2"}, b"x" * 256),
    "no JWT": lambda idp, claims: "a.b.c",
    "five parts": lambda idp, claims: idp.signed(claims) + ".x.y",
    "wrong iss": but(iss="https://evil.example"),
    "iss with a slash": lambda idp, claims: idp.signed({**claims, "iss": claims["iss"] + "/"}),
    "no iss": but(iss=None),
    "no aud": but(aud=None),
    "other aud": but(aud="another-client"),
    "aud a list without azp": but(aud=["packhouse", "another"]),
    "aud an object": but(aud={"packhouse": 1}),
    "wrong azp": but(azp="another"),
    "expired": but(exp=NOW - 3600),
    "exp a text": but(exp="2999-01-01"),
    "exp no number": but(exp=float("nan")),
    "no exp": but(exp=None),
    "not yet valid": but(nbf=NOW + 3600),
    "made in the future": but(iat=NOW + 3600),
    "no nonce": but(nonce=None),
    "other nonce": but(nonce="0" * 64),
    "nonce a list": but(nonce=["x"]),
    "at_hash wrong": but(at_hash=b64(b"\0" * 16)),
    "at_hash a number": but(at_hash=1),
    "no sub": but(sub=None),
    "sub a number": but(sub=1),
    "sub empty": but(sub=""),
    "access token instead": but(typ="Bearer"),
    "access token by its header": lambda idp, claims: idp.signed(claims, typ="at+jwt"),
    "logout token instead": but(events=LOGOUT),
    "logout token by its header": lambda idp, claims: idp.signed({**claims, "events": LOGOUT}, typ="logout+jwt"),
}


async def test_no_forged_token_lets_anybody_in(house: House, idps: tuple[FakeIdp, FakeIdp]) -> None:
    idp, _ = idps
    texts = set()
    for case, forge in VECTORS.items():
        browser = Browser(house.web)
        idp.forge = forge
        answer = await arrives(browser, idp)
        assert answer.status == 401, (case, answer.status, answer.body)
        assert "packhouse" not in browser.cookies, case
        texts.add(SECOND_NUMBER.sub(b"", answer.body))
    assert len(VECTORS) >= 25 and len(texts) == 1
    assert await house.services.db.fetch_value("SELECT count(*) FROM account") == 1
    idp.forge = None
    honest = Browser(house.web)
    assert (await arrives(honest, idp)).status == 303
    assert (await honest.get("/api/account")).json()["username"] == "kim"


async def test_an_answer_counts_once_and_in_its_own_browser(house: House, idps: tuple[FakeIdp, FakeIdp]) -> None:
    idp, _ = idps
    mine, theirs = Browser(house.web), Browser(house.web)
    sent = await mine.get("/login/idp")
    query = idp.come(sent.headers["location"])
    await theirs.get("/login/idp")
    assert (await theirs.get(f"/login/idp/callback?{query}")).status == 401, "of another browser"
    assert (await Browser(house.web).get(f"/login/idp/callback?{query}")).status == 401, "of no browser"
    assert (await mine.get(f"/login/other/callback?{query}")).status == 401, "of another provider"
    assert (await mine.get(f"/login/idp/callback?{query}&state=x")).status == 401, "two states"
    assert (await mine.get(f"/login/idp/callback?{query}")).status == 303
    asked = idp.asked
    assert (await mine.get(f"/login/idp/callback?{query}")).status == 401, "used"
    assert idp.asked == asked, "a used state does not even ask"
    again = await mine.get("/login/idp")
    state = idp.come(again.headers["location"]).split("state=")[1]
    code = query.split("&")[0]
    assert (await mine.get(f"/login/idp/callback?{code}&state={state}")).status == 401, "a used code"
    for odd in ("", "?state=x", "?code=x", "?error=access_denied&state=x", "?code=x&state=" + "y" * 5000):
        assert (await mine.get(f"/login/idp/callback{odd}")).status == 401, odd
    late = await mine.get("/login/idp")
    query = idp.come(late.headers["location"])
    await house.services.db.write(lambda unit: unit.execute("UPDATE attempt SET expires_at = 1"))
    assert (await mine.get(f"/login/idp/callback?{query}")).status == 401, "too late"
    assert (await mine.get("/login/nobody")).status == 404


async def test_the_answer_of_another_provider_is_not_mixed_up(house: House, idps: tuple[FakeIdp, FakeIdp]) -> None:
    """Mix-up (RFC 9207): who answered must be whom this browser was sent to."""
    idp, other = idps
    for said in (other.issuer, idp.issuer + "/", "", None):
        idp.names_itself = said or "x" if said is not None else None
        browser = Browser(house.web)
        sent = await browser.get("/login/idp")
        query = idp.come(sent.headers["location"])
        idp.names_itself = ""
        assert (await browser.get(f"/login/idp/callback?{query}")).status == 401, said
    idp.forge = lambda honest, claims: other.signed({**claims, "iss": other.issuer})
    assert (await arrives(Browser(house.web), idp)).status == 401, "the other provider's own word about its own person"
    idp.forge = lambda honest, claims: other.signed(claims)
    assert (await arrives(Browser(house.web), idp)).status == 401


async def test_a_name_or_address_gets_nobody_into_an_account_that_is_there(
    house: House, idps: tuple[FakeIdp, FakeIdp]
) -> None:
    idp, other = idps
    await house.person("kim", password="correct horse battery")
    for name in ("kim", "KIM", "Kim"):
        idp.person = {**idp.person, "preferred_username": name, "email_verified": True}
        answer = await arrives(Browser(house.web), idp)
        assert answer.status == 409 and "packhouse" not in Browser(house.web).cookies, name
    for name in ("admin", "system", "", "a:b" * 60, "-"):
        idp.person = {**idp.person, "preferred_username": name}
        assert (await arrives(Browser(house.web), idp)).status == 409, name
    idp.person = {"sub": "s-9", "preferred_username": "lou"}
    assert (await arrives(Browser(house.web), idp)).status == 303
    other.person = {"sub": "s-9", "preferred_username": "lou"}
    assert (await arrives(Browser(house.web), other)).status == 409, "the same subject of another provider"


async def test_a_mail_address_joins_only_where_both_sides_verified_it(
    backend: Backend, idps: tuple[FakeIdp, FakeIdp], tmp_path: Path
) -> None:
    idp, other = idps
    file = tmp_path / "identity.toml"
    file.write_text(identity_file(idp, other, link_by_email=True))
    async with open_house(backend, identity_file=str(file)) as house:
        db = house.services.db
        await house.person("ann")

        async def mail(verified: bool) -> None:
            text = "UPDATE account SET email = 'ann@example.org', email_verified = :verified WHERE username = 'ann'"
            await db.write(lambda unit: unit.execute(text, verified=verified))

        idp.person = {"sub": "s-1", "preferred_username": "ann", "email": "ann@example.org", "email_verified": True}
        assert (await arrives(Browser(house.web), idp)).status == 409, "not verified here"
        await mail(True)
        for said in (False, None, "true", 1):
            idp.person["email_verified"] = said
            assert (await arrives(Browser(house.web), idp)).status == 409, said
        idp.person["email_verified"] = True
        browser = Browser(house.web)
        assert (await arrives(browser, idp)).status == 303
        assert (await browser.get("/api/account")).json()["username"] == "ann"
        idp.person = {"sub": "s-3", "preferred_username": "bea", "email": "bea@example.org", "email_verified": True}
        assert (await arrives(Browser(house.web), idp)).status == 303
        other.person = {"sub": "o-3", "preferred_username": "bea", "email": "bea@example.org", "email_verified": True}
        assert (await arrives(Browser(house.web), other)).status == 409, "an account another provider vouches for"
