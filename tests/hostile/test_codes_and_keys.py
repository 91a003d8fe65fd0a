"""Keys that nobody signed and codes of another kind: whatever a command line shows, only what it was given counts.

What an identity provider never said is in `test_tokens_of_others.py`; each flow by itself in
`tests/integration/signin`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from tests.conftest import Backend
from tests.kit.asgi import Answer
from tests.kit.calls import call, read
from tests.kit.carriers import CARRIERS, Credentials
from tests.kit.code_flow import ANACONDA, ANACONDA_BACK, CONNECT, VERIFIER, anaconda_asks, carried, error, exchange
from tests.kit.house import House, open_house, second_process
from tests.kit.pages import HOST, Browser

PASSWORD = "correct horse battery"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
MALLORY = generate_private_key(65537, 2048)
Json = dict[str, Any]
#: a key of ours, its header and its claims -> another one
Forge = Callable[[str, Json, Json], str]


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(header: Json, claims: Json, signature: str) -> str:
    return ".".join([b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), signature])


def own_jwk() -> Json:
    found: Json = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(MALLORY.public_key()))
    return found


def mallorys(claims: Json, **headers: Any) -> str:
    return jwt.encode(claims, MALLORY, "RS256", headers=headers)


def hs256(header: Json, claims: Json, public: RSAPublicKey) -> str:
    """Sign with what everybody may read of a key, as if it were a password (PyJWT refuses to)."""
    head = parts({**header, "alg": "HS256"}, claims, "")[:-1]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{head}.{b64(hmac.digest(pem, head.encode(), 'sha256'))}"


FORGED: dict[str, Forge] = {
    "alg none": lambda key, header, claims: parts({**header, "alg": "none"}, claims, ""),
    "alg none, with the signature": lambda key, header, claims: parts(
        {**header, "alg": "none"}, claims, key.split(".")[2]
    ),
    "of another key under our name": lambda key, header, claims: mallorys(claims, kid=header["kid"]),
    "of another key under its own": lambda key, header, claims: mallorys(claims, kid="mallory"),
    "without the name of a key": lambda key, header, claims: mallorys(claims),
    "embedded JWK": lambda key, header, claims: mallorys(claims, kid=header["kid"], jwk=own_jwk()),
    "jku": lambda key, header, claims: mallorys(claims, kid=header["kid"], jku="http://127.0.0.1:1/certs"),
    "another person": lambda key, header, claims: parts(header, {**claims, "sub": "x"}, key.split(".")[2]),
    "more roles": lambda key, header, claims: parts(
        header, {**claims, "realm_access": {"roles": ["admin"]}}, key.split(".")[2]
    ),
    "lives longer": lambda key, header, claims: parts(header, {**claims, "exp": claims["exp"] + 9}, key.split(".")[2]),
    "cut": lambda key, header, claims: key[:-2],
    "signature of the header": lambda key, header, claims: f"{key}.{key}",
}


@pytest.fixture
async def house(backend: Backend) -> Any:
    async with open_house(backend) as opened:
        await opened.person("ann", password=PASSWORD)
        yield opened


async def browser_of(house: House) -> Browser:
    browser = Browser(house.web)
    assert (await browser.sign_in("ann", PASSWORD)).status == 303
    return browser


async def test_no_forged_key_opens_anything_however_it_is_shown(house: House) -> None:
    await house.channel("secret", "private", "ann")
    login = (await call(house.web, "POST", "/api/auth/login", {"username": "ann", "password": PASSWORD})).json()[
        "token"
    ]
    key = (
        await call(house.web.with_headers({"authorization": f"Bearer {login}"}), "POST", "/api/auth/api-keys", {})
    ).json()["api_key"]
    header, claims = jwt.get_unverified_header(key), jwt.decode(key, options={"verify_signature": False})
    published = jwt.PyJWKSet.from_dict(await read(house.web, f"{CONNECT}/certs"))[header["kid"]].key
    cases = {case: forge(key, header, claims) for case, forge in FORGED.items()}
    cases["HS256 by the published key"] = hs256(header, claims, published)
    tried, works = 0, dict.fromkeys(CARRIERS, False)
    for name, carrier in CARRIERS.items():
        if name == "Basic USER:PASSWORD":
            continue  # where a key would be a guess at a password
        for target in ("/api/account", "/api/repo/secret/noarch/repodata.json"):
            honest = carrier(Credentials("ann", key, key, key, key), target)
            works[name] = (await house.web.get(honest.target, **_names(honest.headers))).status == 200
            for case, forged in cases.items():
                shown = carrier(Credentials("ann", forged, forged, forged, forged), target)
                answer = await house.web.get(shown.target, **_names(shown.headers))
                assert answer.status in (401, 404), (name, case, answer.status, answer.body)
                tried += 1
    assert tried >= 250 and sum(works.values()) >= 6, works


def _names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in headers.items()}


async def begun(house: House) -> Json:
    answer = await post(house, f"{CONNECT}/auth/device", client_id=ANACONDA, scope="openid")
    found: Json = answer.json()
    return found


async def post(house: House, path: str, **fields: str) -> Answer:
    headers = {"host": HOST, "content-type": "application/x-www-form-urlencoded"}
    return await house.web.request("POST", path, headers, [urlencode(fields).encode()])


async def poll(house: House, code: str) -> Answer:
    return await post(house, f"{CONNECT}/token", grant_type=DEVICE_CODE, device_code=code, client_id=ANACONDA)


async def asked_long_ago(unit: Unit) -> None:
    await unit.execute("UPDATE device_grant SET asked_at = asked_at - :wait", wait=60 * SECOND)


async def test_a_code_of_one_kind_is_none_of_another(house: House) -> None:
    browser = await browser_of(house)
    grant = await begun(house)
    await browser.post("/device", {"user_code": grant["user_code"], "answer": "approve"})
    code = (await carried(browser, anaconda_asks()))["code"]
    for wrong in (code, grant["user_code"], grant["user_code"].replace("-", "")):
        assert error(await poll(house, wrong)) == (400, "invalid_grant"), wrong
    for wrong in (grant["device_code"], grant["user_code"]):
        assert error(await exchange(house.web, wrong)) == (400, "invalid_grant"), wrong
    for shown in (code, grant["device_code"], grant["user_code"]):
        assert (await house.web.get("/api/account", authorization=f"Bearer {shown}")).status == 401, shown
    given = (await exchange(house.web, code)).json()
    for wrong in (given["access_token"], given["id_token"]):
        assert error(await poll(house, wrong)) == (400, "invalid_grant"), "a token is no code"
        assert error(await exchange(house.web, wrong)) == (400, "invalid_grant"), "a token is no code"
    both = {"grant_type": "authorization_code", "client_id": ANACONDA, "redirect_uri": ANACONDA_BACK}
    twice = await post(house, f"{CONNECT}/token", code_verifier=VERIFIER, device_code=grant["device_code"], **both)
    assert error(twice) == (400, "invalid_grant"), "what the type of the grant says is looked for, and nothing else"
    assert (await poll(house, grant["device_code"])).status == 200, "none of that was this code"


async def test_of_many_who_poll_at_once_one_is_given_a_token(house: House, backend: Backend, tmp_path: Any) -> None:
    browser = await browser_of(house)
    async with second_process(backend, house, tmp_path / "second") as other:
        grant = await begun(house)
        await browser.post("/device", {"user_code": grant["user_code"], "answer": "approve"})
        answers = await asyncio.gather(*(poll(one, grant["device_code"]) for one in (house, other) * 4))
        await house.services.db.write(asked_long_ago)
        answers.append(await poll(other, grant["device_code"]))
        given = [answer for answer in answers if answer.status == 200]
        assert len(given) == 1
        refused = {answer.json()["error"] for answer in answers if answer.status != 200}
        assert refused <= {"invalid_grant", "slow_down"}
        types = [event["event_type"] for event in (await read(house.admin, "/api/events"))["items"]]
        assert types.count("command_line_approved") == 1
