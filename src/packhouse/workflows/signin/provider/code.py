"""The authorization code flow (RFC 6749 section 4.1, OpenID Connect Core section 3.1), with PKCE (RFC 7636).

A command line opens the person's browser here; the person approves; the browser carries a code back to the command
line, which exchanges it for an access token.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.grants import codes
from packhouse.catalog.grants.codes import Code, Wish
from packhouse.catalog.grants.issuing import key_of
from packhouse.catalog.grants.signing_keys import SigningKey, signer
from packhouse.catalog.installation.keys import Keys, load_keys
from packhouse.catalog.logins import logins, sessions
from packhouse.catalog.logins.logins import Login
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.services import Services
from packhouse.workflows.signin.provider.clients import CODE_CLIENTS
from packhouse.workflows.signin.provider.device import ACCESS_SECONDS
from packhouse.workflows.signin.provider.refusals import OAuthError

SCOPES = ("openid", "profile", "email")
#: of a challenge by S256, and of what it is made from (RFC 7636 sections 4.1 and 4.2)
_CHALLENGE, _VERIFIER = re.compile(r"[A-Za-z0-9_-]{43}"), re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NONCE_CHARACTERS = 512
_NO_SUCH_CODE = "There is no such code: it was used, is older than a minute, or was given to another client."


class Given(NamedTuple):
    """What a code was exchanged for."""

    access_token: str
    id_token: str | None  #: only who asked for the scope `openid` gets one
    scope: str


class Exchange(NamedTuple):
    """What a client shows to have the code it was given exchanged."""

    client_id: str
    code: str
    redirect_uri: str
    verifier: str


def back_to(fields: Mapping[str, str]) -> str:
    """Return where a request may send the browser back to, errors included.

    Raises PackhouseError("bad_request") for a client or an address that is not known, from where nobody is sent on.
    """
    client, address = CODE_CLIENTS.get(fields.get("client_id", "")), fields.get("redirect_uri", "")
    if client is None:
        raise PackhouseError(
            "bad_request",
            "The program that sent you here is not known to this server.",
            "If you wanted to log a command line in, start again there.",
        )
    if not client.redirects.fullmatch(address):
        raise PackhouseError(
            "bad_request",
            f"This is not an address to which {client.shown} is sent back.",
            "Whoever made the link may want your access: close this page. A command line waits on your own machine.",
        )
    return address


def wish(fields: Mapping[str, str]) -> Wish:
    """Return what a request asks for, whose client and address `back_to` has looked at. Raises OAuthError."""
    for name, error in (("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")):
        if name in fields:
            raise OAuthError(error, "Parameters are sent one by one.")
    if fields.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "The response type here is code.")
    if fields.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "The response mode here is query.")
    if not all(value.isascii() and value.isprintable() for value in fields.values()):
        raise OAuthError("invalid_request", "A parameter is not printable ASCII.")
    if len(nonce := fields.get("nonce", "")) > _NONCE_CHARACTERS:
        raise OAuthError("invalid_request", "The nonce is too long.")
    asked = fields.get("scope", "").split(" ")
    scope = " ".join(one for one in SCOPES if one in asked)
    return Wish(fields["client_id"], fields["redirect_uri"], scope, _challenge(fields), nonce)


def _challenge(fields: Mapping[str, str]) -> str:
    challenge, method = fields.get("code_challenge", ""), fields.get("code_challenge_method", "")
    if not challenge and not method and not CODE_CLIENTS[fields["client_id"]].pkce:
        return ""
    if method != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "PKCE with S256 is required: code_challenge and code_challenge_method.")
    return challenge


async def decide(services: Services, who: Principal, asked: Wish, approved: bool, address: str) -> str | None:
    """Approve or deny what a client asked for, as a person with a browser; return the code, or None when denied.

    Raises PackhouseError("unauthenticated") when the browser's login has ended.
    """
    keys = await load_keys(services.db, services.sealer)

    async def work(unit: Unit) -> str | None:
        await require_standing(unit, who)
        login = await logins.by_uuid(unit, who.login_id or "")
        if login is None or login.kind != "browser":
            raise PackhouseError("unauthenticated", "Nobody is signed in here.", "Sign in, then try again.")
        await record_event(
            unit,
            type="command_line_approved" if approved else "command_line_denied",
            actor=who.username,
            object=f"user {who.username}",
            data={"client": asked.client_id, "address": address},
        )
        return await codes.make(unit, keys, asked, login.account_id, login.id) if approved else None

    return await services.db.write(work)


async def exchange(services: Services, shown: Exchange, *, client: str, issuer: str) -> Given:
    """Return tokens for a code, once; `client` is the user agent, `issuer` our address.

    Whatever is wrong with what is shown, the code is used: it is with somebody it was not given to. Showing one again
    ends what came of it. Raises OAuthError.
    """
    if shown.client_id not in CODE_CLIENTS:
        raise OAuthError("invalid_client", "This client is not known here.")
    keys, key = await load_keys(services.db, services.sealer), await signer(services.db, services.sealer)

    async def work(unit: Unit) -> Given | OAuthError:  # a refusal is returned: what it notes has to be kept
        found = await codes.by_code(unit, keys, shown.code)
        if found is None:
            return OAuthError("invalid_grant", _NO_SUCH_CODE)
        account = await store.by_id(unit, found.account_id)
        if not await codes.use(unit, keys, shown.code):
            await _end_what_came_of_it(unit, keys, shown.code, found, account)
            return OAuthError("invalid_grant", _NO_SUCH_CODE)
        if found.expires_at <= unit.now or not _fits(found, shown):
            return OAuthError("invalid_grant", _NO_SUCH_CODE)
        if account is None or account.disabled_at is not None or found.signed_out_at is not None:
            return OAuthError("invalid_grant", "Whoever approved it is no longer signed in.")
        lifetime = ACCESS_SECONDS * SECOND
        token, made = await key_of(unit, key, keys, account, "api", client=client, lifetime=lifetime, by="command_line")
        await codes.gave(unit, keys, shown.code, made.uuid)
        about_them = _id_token(key, found, account, made, token, issuer) if "openid" in found.scope.split() else None
        return Given(token, about_them, found.scope)

    given = await services.db.write(work)
    if isinstance(given, OAuthError):
        raise given
    return given


def _fits(found: Code, shown: Exchange) -> bool:
    """Say whether it is the client that asked, which alone knows what its challenge was made from."""
    if (shown.client_id, shown.redirect_uri) != (found.client_id, found.redirect_uri):
        return False
    if not found.challenge:
        return not shown.verifier  # else somebody left the challenge out of the link (RFC 9700 section 4.8.2)
    made = _base64(sha256(shown.verifier.encode()).digest()) if _VERIFIER.fullmatch(shown.verifier) else ""
    return compare_digest(made, found.challenge)


async def _end_what_came_of_it(unit: Unit, keys: Keys, code: str, found: Code, account: Account | None) -> None:
    ended, revoked = await codes.end_given(unit, keys, code)
    if (ended or revoked) and account is not None:
        await record_event(
            unit,
            type="authorization_code_replayed",
            actor="system",
            object=f"user {account.username}",
            data={"client": found.client_id, "logins": ended, "tokens": revoked},
        )


def _id_token(key: SigningKey, found: Code, account: Account, made: Login, access: str, issuer: str) -> str:
    """Return what tells the client who approved (OpenID Connect Core section 2); it opens nothing here."""
    claims = {
        "iss": issuer,
        "sub": account.uuid,
        "aud": found.client_id,
        "iat": made.created_at // SECOND,
        "exp": made.expires_at // SECOND,
        "auth_time": found.signed_in_at // SECOND,
        "at_hash": _base64(sha256(access.encode()).digest()[:16]),
    }
    return sessions.sign(claims | ({"nonce": found.nonce} if found.nonce else {}), key.kid, key.private)


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
