"""An identity provider that says whatever a test wants: honest unless it is told to forge."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from packhouse.doors.asgi import Receive, Scope, Send
from tests.kit.asgi import listening

CLIENT_ID = "packhouse"
Json = dict[str, Any]
#: makes the ID token out of the claims an honest one has
Forge = Callable[["FakeIdp", Json], str]


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key of that name; making one takes a moment."""
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key(name: str, curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    """An elliptic key."""
    return ec.generate_private_key({"secp256r1": ec.SECP256R1(), "secp256k1": ec.SECP256K1()}[curve])


def b64(data: bytes) -> str:
    """Encode as JOSE does."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: Json, claims: Json, signature: bytes = b"") -> str:
    """Put a token together without signing it."""
    return ".".join((b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), b64(signature)))


def public_pem(name: str) -> bytes:
    """The public half of a key as text, which HS256 may be abused with."""
    return rsa_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class FakeIdp:
    """One provider; `person` is what its claims say of whoever comes."""

    def __init__(self, name: str = "idp") -> None:
        self.name, self.issuer = name, ""
        self.person: Json = {"sub": "s-1", "preferred_username": "kim", "email": "kim@example.org"}
        self.forge: Forge | None = None
        self.names_itself: str | None = ""  #: as `iss` of the answer; "": the truth, None: not at all
        self.refreshing: Json | None = None  #: what is answered to a refresh instead
        self.refresh_once = False  #: whether a refresh token counts once, as with Keycloak's "Revoke Refresh Token"
        self.away: frozenset[str] = frozenset()  #: paths at which it does not answer as it should
        self._spent: set[str] = set()
        self._codes: dict[str, dict[str, str]] = {}
        self._given = self.asked = 0

    @property
    def keys(self) -> list[Json]:
        """The keys it shows."""
        rs = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(self.name)))
        es = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec_key(self.name)))
        private = {"d", "p", "q", "dp", "dq", "qi", "key_ops"}
        return [
            {**{k: v for k, v in rs.items() if k not in private}, "kid": "rsa", "use": "sig", "alg": "RS256"},
            {**{k: v for k, v in es.items() if k not in private}, "kid": "ec", "use": "sig"},
        ]

    def signed(self, claims: Mapping[str, Any], key: str = "", **header: Any) -> str:
        """Sign as RS256, honestly unless the header says otherwise."""
        return jwt.encode(dict(claims), rsa_key(key or self.name), "RS256", headers={"kid": "rsa", **header})

    def come(self, address: str) -> str:
        """Let somebody sign in at the address our server sent them to; return the query they come back with."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code"
        self._given += 1
        code = f"code-{self.name}-{self._given}"
        self._codes[code] = asked
        iss = self.issuer if self.names_itself == "" else self.names_itself
        return f"code={code}&state={asked['state']}" + (f"&iss={iss}" if iss is not None else "")

    def claims(self, nonce: str | None, access_token: str) -> Json:
        """What an honest ID token says."""
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        said = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "at_hash": b64(half),
            "sid": "sid-1",
        }
        return {**said, **({"nonce": nonce} if nonce else {}), **self.person}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as a provider."""
        body = b""
        while scope["method"] == "POST":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, said = self._answer(scope["path"], dict(parse_qsl(body.decode())))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    def _answer(self, path: str, form: dict[str, str]) -> tuple[int, Json]:
        if path in self.away:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            names = ("authorization", "token", "end_session")
            ends = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in names}
            known = {"authorization_response_iss_parameter_supported": self.names_itself is not None}
            return 200, {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **ends, **known}
        if path == "/keys":
            return 200, {"keys": self.keys}
        if path != "/token":
            return 404, {"error": "not_found"}
        self.asked += 1
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(form["refresh_token"])
        asked = self._codes.pop(form.get("code", ""), None)
        proof = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or proof != asked["code_challenge"] or form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, self._tokens(asked["nonce"])

    def _refreshed(self, token: str) -> tuple[int, Json]:
        if self.refreshing:
            return 400, self.refreshing
        if self.refresh_once and token in self._spent:
            return 400, {"error": "invalid_grant"}
        self._spent.add(token)
        return 200, self._tokens(None)

    def _tokens(self, nonce: str | None) -> Json:
        access = "access-token"
        claims = self.claims(nonce, access)
        token = self.forge(self, claims) if self.forge else self.signed(claims)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "id_token": token,
            "refresh_token": f"refresh-{self.asked}",
        }


@asynccontextmanager
async def fake_idp(name: str = "idp") -> AsyncIterator[FakeIdp]:
    """Run one on a free port."""
    idp = FakeIdp(name)
    async with listening(idp) as address:
        idp.issuer = address
        yield idp


def identity_file(*providers: FakeIdp, **more: Any) -> str:
    """The identity file that names them."""
    lines = []
    for idp in providers:
        said = {"kind": "oidc", "name": idp.name, "issuer": idp.issuer, "client_id": CLIENT_ID, "client_secret": "s3"}
        lines += ["[[provider]]", *(f"{key} = {_toml(value)}" for key, value in {**said, **more}.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)
