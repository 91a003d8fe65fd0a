"""There and back: a person goes to a provider with what only this browser can bring back, and returns with a code."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from packhouse.catalog.identities import attempts
from packhouse.catalog.identities.attempts import Attempt
from packhouse.catalog.identities.federated import Upstream
from packhouse.catalog.installation.keys import Keys
from packhouse.core.clock import SECOND
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_hex, random_text
from packhouse.workflows.services import Services
from packhouse.workflows.signin.identity import OidcProvider
from packhouse.workflows.signin.oidc.client import Client
from packhouse.workflows.signin.oidc.verifying import Untrusted, verify_id_token

_log = get_logger("packhouse.signin")


class Word(NamedTuple):
    """A provider's word about somebody who came back."""

    claims: dict[str, Any]
    upstream: Upstream
    onward: str  #: where they wanted to go


class Refreshed(NamedTuple):
    """A provider's answer to a refresh, of which nothing is believed yet."""

    upstream: Upstream  #: to be kept whatever else it says: what was shown for it may count no more
    answer: dict[str, Any]


def failed(provider: OidcProvider, why: str) -> PackhouseError:
    """Return the one refusal of whatever is wrong with a sign-in; the log alone says what."""
    number = random_hex(8)
    _log.warning("sign-in refused", provider=provider.name, why=why, request_id=number)
    return PackhouseError(
        "login_failed",
        f"Signing in through {provider.shown} did not succeed.",
        f"Try again from the sign-in page; the log has the reason under {number}.",
    )


async def leave(
    services: Services, keys: Keys, client: Client, provider_id: int, *, browser: str, back: str, onward: str
) -> str:
    """Return the provider's address to send a browser to; `browser` is a secret its cookie holds, `back` the callback.

    Raises PackhouseError("upstream_failed").
    """
    endpoints = await client.endpoints()
    state, nonce, verifier = random_hex(32), random_hex(32), random_text(64)
    sealed = services.sealer.seal(verifier.encode(), "verifier")
    begin = partial(
        attempts.begin,
        keys=keys,
        provider_id=provider_id,
        state=state,
        browser=browser,
        nonce=nonce,
        verifier=sealed,
        onward=onward,
    )
    await services.db.write(begin)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client.provider.client_id,
        "redirect_uri": back,
        "scope": " ".join(client.provider.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    address = endpoints.authorization_endpoint
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"


async def come_back(
    services: Services, keys: Keys, client: Client, provider_id: int, *, browser: str, back: str, said: dict[str, str]
) -> Word:
    """Return what the provider says of who came back with `said`, the query of the callback (RFC 6749 section 4.1.2).

    The attempt is used up, whatever comes of it. Raises PackhouseError("login_failed"), always in the same words.
    """
    provider = client.provider
    take = partial(attempts.take, keys=keys, provider_id=provider_id, state=said.get("state", ""), browser=browser)
    found = await services.db.write(take)
    if found is None:
        raise failed(provider, "no such attempt of this browser is under way")
    endpoints = await client.endpoints()
    issuer = said.get("iss")  # RFC 9207: who answered is whom we asked
    if (
        issuer != provider.issuer
        if endpoints.authorization_response_iss_parameter_supported
        else issuer
        not in (
            None,
            provider.issuer,
        )
    ):
        raise failed(provider, "another issuer answered")
    if "error" in said or not said.get("code"):
        raise failed(provider, f"the provider answered {said.get('error', 'without a code')[:80]!r}")
    form = {
        "grant_type": "authorization_code",
        "code": said["code"],
        "redirect_uri": back,
        "code_verifier": services.sealer.open(found.verifier, "verifier").decode(),
    }
    status, answer = await client.tokens(form)
    if status != 200 or not isinstance(answer.get("id_token"), str):
        raise failed(provider, f"the token endpoint answered {status}, {str(answer.get('error'))[:80]!r}")
    claims = await _believed(services, keys, client, answer, found)
    return Word(claims, _given(answer, Upstream("")), found.onward)


async def refreshed(client: Client, upstream: Upstream) -> Refreshed | None:
    """Return what the provider gives for the tokens it gave before; None: it vouches for that person no longer.

    Raises PackhouseError("upstream_failed") when it does not answer.
    """
    form = {"grant_type": "refresh_token", "refresh_token": upstream.refresh_token}
    status, answer = await client.tokens(form)
    if status in (400, 401) and answer.get("error") == "invalid_grant":
        return None
    if status != 200:
        raise PackhouseError("upstream_failed", f"The identity provider {client.provider.name} answered {status}.")
    return Refreshed(_given(answer, upstream), answer)


async def told(services: Services, keys: Keys, client: Client, refreshed: Refreshed) -> dict[str, Any]:
    """Return what a provider says, by a refresh, of somebody who came before.

    Raises PackhouseError: "login_failed" for an answer that is not believed, "upstream_failed" when its keys are away.
    """
    if not isinstance(refreshed.answer.get("id_token"), str):
        raise failed(client.provider, "a refresh without an ID token says nothing about groups")
    return await _believed(services, keys, client, refreshed.answer, None)


def _given(answer: dict[str, Any], before: Upstream) -> Upstream:
    """Return the tokens of an answer; those it does not name are what they were."""
    new = {name: value for name in ("id_token", "refresh_token") if isinstance(value := answer.get(name), str)}
    return msgspec.structs.replace(before, **new)


async def _believed(
    services: Services, keys: Keys, client: Client, answer: dict[str, Any], attempt: Attempt | None
) -> dict[str, Any]:
    provider, token, access = client.provider, answer["id_token"], answer.get("access_token")
    now = await services.db.now() // SECOND

    def fits(nonce: str) -> bool:
        return attempt is not None and attempts.nonce_hash(keys, nonce) == attempt.nonce_hash

    try:
        return await client.with_keys(
            lambda shown: verify_id_token(
                token,
                shown,
                issuer=provider.issuer,
                client_id=provider.client_id,
                algorithms=provider.algorithms,
                now=now,
                nonce_fits=fits if attempt else None,
                access_token=access if isinstance(access, str) else None,
            )
        )
    except Untrusted as reason:
        raise failed(provider, f"its ID token is not believed: {reason}") from None
