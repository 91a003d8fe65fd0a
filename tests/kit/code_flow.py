"""Command lines that log in through a person's browser: what they send, and what the browser carries."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.kit.asgi import Answer, Client
from tests.kit.pages import HOST, Browser

CONNECT = "/auth/realms/packhouse/protocol/openid-connect"
AUTHORIZE = f"{CONNECT}/auth"
ANACONDA, REPO_CLI = "b4ad7f1d-c784-46b5-a9fe-106e50441f5a", "repo-service-cli"
ANACONDA_BACK, REPO_BACK = "http://127.0.0.1:8000/auth/oidc", "http://localhost:43117/"
VERIFIER = "the-verifier-of-a-test-" + "x" * 40


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def anaconda_asks(**other: str | None) -> dict[str, str]:
    """Return what the `anaconda` command asks for, otherwise as told; None leaves a parameter out."""
    fields: dict[str, str | None] = {
        "client_id": ANACONDA,
        "response_type": "code",
        "scope": "openid email profile offline_access",
        "state": "the state",
        "redirect_uri": ANACONDA_BACK,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **other,
    }
    return {name: value for name, value in fields.items() if value is not None}


def repo_asks(**other: str | None) -> dict[str, str]:
    """Return what the old command line asks for: no state, no PKCE, no scope."""
    fields: dict[str, str | None] = {
        "client_id": REPO_CLI, "response_type": "code", "redirect_uri": REPO_BACK, **other
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


async def decide(browser: Browser, fields: dict[str, str], answer: str = "approve", **headers: str) -> Answer:
    """Press a button of the page."""
    return await browser.post(AUTHORIZE, {**fields, "answer": answer}, **headers)


async def carried(browser: Browser, fields: dict[str, str]) -> dict[str, str]:
    """Approve; return what the browser is sent back to the command line with."""
    answer = await decide(browser, fields)
    assert answer.status == 303, answer.body
    address, _, query = answer.headers["location"].partition("?")
    assert address == fields["redirect_uri"]
    return dict(parse_qsl(query))


async def exchange(web: Client, code: str, **other: str | None) -> Answer:
    """Exchange a code as the `anaconda` command does, with an old key along that nobody looks at."""
    fields: dict[str, Any] = {
        "grant_type": "authorization_code",
        "client_id": ANACONDA,
        "code": code,
        "redirect_uri": ANACONDA_BACK,
        "code_verifier": VERIFIER,
        **other,
    }
    sent = urlencode({name: value for name, value in fields.items() if value is not None}).encode()
    headers = {"host": HOST, "content-type": "application/x-www-form-urlencoded", "authorization": "Bearer a.b.c"}
    return await web.request("POST", f"{CONNECT}/token", headers, [sent])


async def exchange_repo(web: Client, code: str, **other: str | None) -> Answer:
    """Exchange a code as the old command line does."""
    plain: dict[str, str | None] = {"client_id": REPO_CLI, "redirect_uri": REPO_BACK, "code_verifier": None}
    return await exchange(web, code, **{**plain, **other})


def error(answer: Answer) -> tuple[int, str]:
    """Return the status and the error of a refusal (RFC 6749 section 5.2)."""
    return answer.status, answer.json()["error"]
