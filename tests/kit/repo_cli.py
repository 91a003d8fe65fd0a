"""The old command line's login through a browser, step by step as it does it, and as strict about answers as it is."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.kit.asgi import Answer, Client

CLIENT_ID = "repo-service-cli"
_REALM = re.compile(r"/auth/realms/([a-z][a-z-]+)/.*")


class RepoCli:
    """One person's command line, which was told of one site: `http://HOST/api`."""

    def __init__(self, web: Client, host: str, port: int = 43117) -> None:
        self._web, self._host, self.redirect_uri = web, host, f"http://localhost:{port}/"
        self._endpoints: dict[str, str] = {}

    async def opens(self) -> str:
        """Return the address it opens in the browser."""
        sent_on = await self._send("GET", f"http://{self._host}/api/auth/authorize", {"X-Auth": "an-old-token"})
        assert sent_on.status == 302, sent_on.status
        place = urlsplit(sent_on.headers["location"])
        realm = _REALM.fullmatch(place.path)
        assert realm is not None, place.path
        known = f"{place.scheme}://{place.netloc}/auth/realms/{realm[1]}/.well-known/openid-configuration"
        self._endpoints = (await self._send("GET", known)).json()
        asked = {"client_id": CLIENT_ID, "response_type": "code", "redirect_uri": self.redirect_uri}
        return f"{self._endpoints['authorization_endpoint']}?{urlencode(asked)}"

    async def comes_back(self, address: str) -> str:
        """Take the address that the browser came back with; return the JWT."""
        code = dict(parse_qsl(urlsplit(address).query))["code"]
        fields = {
            "grant_type": "authorization_code", "code": code, "client_id": CLIENT_ID, "redirect_uri": self.redirect_uri
        }  # fmt: skip
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self._send("POST", self._endpoints["token_endpoint"], kind, urlencode(fields).encode())
        assert answer.status == 200, answer.body
        token: str = answer.json()["access_token"]
        return token

    def is_admin(self, token: str) -> bool:
        """Read the JWT as it does: without a check, by the standard alphabet."""
        payload = token.split(".")[1]
        claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True))
        return "admin" in claims["realm_access"]["roles"]

    async def own_token(self, token: str, hostname: str) -> str:
        """Return the token that it keeps, made anew if it had one."""
        name, tokens = f"repo-cli-token-{hostname}", "/api/account/tokens"
        listed = await self._asks("GET", tokens, token)
        found = [one["id"] for one in listed.json()["items"] if one["name"] == name]
        if found:
            made = await self._asks("PUT", f"{tokens}/{found[0]}", token, {})
        else:
            scopes = (await self._asks("GET", "/api/account/scopes", token)).json()["scopes"]
            wanted = {"name": name, "expires_at": "2199-12-31", "scopes": scopes}
            made = await self._asks("POST", tokens, token, wanted)
        assert made.status == 200, made.body
        value: str = made.json()["token"]
        return value

    async def whoami(self, value: str) -> dict[str, Any]:
        """Return what it prints."""
        answer = await self._send("GET", f"http://{self._host}/api/account", {"X-Auth": value})
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json()
        return found

    async def _asks(self, method: str, path: str, token: str, body: dict[str, Any] | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        sent = b"" if body is None else json.dumps(body).encode()
        return await self._send(method, f"http://{self._host}{path}", headers, sent)

    async def _send(
        self, method: str, address: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("http", self._host), address
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return await self._web.request(method, target, {"host": self._host, **(headers or {})}, [body] if body else [])
