"""One OpenID provider, as this process knows it: its addresses (Discovery 1.0), its keys, and the questions it answers.

Nothing of it is believed for longer than an hour; a key nobody knows makes us look again, once a minute at most.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from packhouse.core.clock import monotonic
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.asking import ask_json
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.settings import Settings
from packhouse.workflows.signin.identity import OidcProvider
from packhouse.workflows.signin.oidc.verifying import UnknownKey

T = TypeVar("T")
Keys = list[dict[str, Any]]

BELIEVED_SECONDS = 3600.0
LOOK_AGAIN_SECONDS = 60.0
#: what a provider did not answer it is not asked again for so long: whoever waits would ask one after the other
AWAY_SECONDS = 5.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoints(msgspec.Struct, frozen=True):
    """The addresses of a provider."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    issuer: str
    end_session_endpoint: str = ""
    authorization_response_iss_parameter_supported: bool = False
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Told(Generic[T]):
    """One thing that a provider says of itself. Who has it from before waits for nobody who asks anew."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: tuple[float, T] | None = None  # since when
        self._away: tuple[float, PackhouseError] | None = None  # when it was not answered, and why
        self._turn = asyncio.Lock()

    async def since(self, moment: float) -> tuple[float, T]:
        """Return what was said at `moment` (monotonic) or later, and when; asked for if need be."""
        if self._known is not None and self._known[0] >= moment:
            return self._known
        async with self._turn:
            if self._known is not None and self._known[0] >= moment:  # who went before asked
                return self._known
            if self._away is not None and monotonic() < self._away[0] + AWAY_SECONDS:
                raise self._away[1]
            try:
                self._known = (monotonic(), await self._ask())
            except PackhouseError as error:
                self._away = (monotonic(), error)
                raise
            return self._known


class Client:
    """Asks one provider."""

    def __init__(self, provider: OidcProvider, settings: Settings) -> None:
        self.provider = provider
        parts = urlsplit(provider.issuer)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        # who may write the identity file may name an address inside the network
        allowed = settings.private_hosts | {f"{host}:{port}"}
        self._fetch = FetchSettings(ca_bundle=provider.ca_file or None, allowed_private=allowed, answer_timeout=15.0)
        self._endpoints, self._keys = _Told(self._discover), _Told(self._ask_for_keys)

    async def endpoints(self) -> Endpoints:
        """Return the provider's addresses. Raises PackhouseError("upstream_failed")."""
        return (await self._endpoints.since(monotonic() - BELIEVED_SECONDS))[1]

    async def with_keys(self, check: Callable[[Keys], T]) -> T:
        """Return `check` of the provider's keys, again with new ones if it raises UnknownKey."""
        asked, keys = await self._keys.since(monotonic() - BELIEVED_SECONDS)
        try:
            return check(keys)
        except UnknownKey:
            if monotonic() - asked < LOOK_AGAIN_SECONDS:
                raise
        return check((await self._keys.since(monotonic() - LOOK_AGAIN_SECONDS))[1])

    async def tokens(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the answer of the token endpoint (RFC 6749 section 5)."""
        provider, endpoints = self.provider, await self.endpoints()
        sent, headers = dict(form), {}
        if not provider.client_secret:
            sent["client_id"] = provider.client_id
        elif "client_secret_basic" in endpoints.token_endpoint_auth_methods_supported:
            pair = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            sent |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        return await ask_json(endpoints.token_endpoint, self._fetch, form=sent, headers=headers)

    async def _discover(self) -> Endpoints:
        issuer = self.provider.issuer
        status, said = await ask_json(issuer.rstrip("/") + "/.well-known/openid-configuration", self._fetch)
        try:
            found = msgspec.convert(said, Endpoints)
        except msgspec.ValidationError:
            found = None
        if status != 200 or found is None or found.issuer != issuer:
            raise self._unusable(f"does not describe itself as the issuer {issuer}")
        addresses = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.end_session_endpoint)
        if issuer.startswith("https:") and not all(one.startswith("https:") for one in addresses if one):
            raise self._unusable("names an address without TLS")
        return found

    async def _ask_for_keys(self) -> Keys:
        status, said = await ask_json((await self.endpoints()).jwks_uri, self._fetch)
        keys = said.get("keys")
        if status != 200 or not isinstance(keys, list):
            raise self._unusable("shows no keys")
        return [key for key in keys if isinstance(key, dict)]

    def _unusable(self, why: str) -> PackhouseError:
        return PackhouseError(
            "upstream_failed",
            f"The identity provider {self.provider.name} {why}.",
            "An administrator corrects the identity file, or the provider.",
        )
