"""Webhooks: telling another system what happened, signed so that it can be sure of who says it and when.

The body is JSON. `X-Packhouse-Signature: t=<unix seconds>,v1=<hex>` holds the HMAC-SHA256 of `<t>.<body>` under the
secret both sides know; a receiver compares it in constant time and refuses a `t` that is minutes away from its clock.
`X-Packhouse-Delivery` stays the same when a delivery is repeated, so that a receiver can pass over what it has.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import urlsplit

import msgspec

from packhouse.core.clock import SECOND, wall_micros
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.fetch.posting import check_address, post

MIN_SECRET = 16
MAX_URL = 2048
#: seconds after which a delivery that failed for now is worth another run, when the receiver does not say
RETRY_SECONDS = 300
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Webhook(msgspec.Struct, frozen=True):
    """Where to send, and the secret that signs. Neither is shown: the path of an address is often a secret, too."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return "Webhook(…)"


def origin_of(url: str) -> str:
    """Return what may be shown of a webhook's address: its path and query are often a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def webhook_settings(allowed_private: frozenset[str]) -> FetchSettings:
    """Return how receivers are reached: `allowed_private` are the `host:port` an administrator named."""
    return FetchSettings(
        allowed_private=allowed_private,
        connect_timeout=5.0,
        answer_timeout=10.0,
        attempts=3,
        backoff=1.0,
        max_wait=30.0,
    )


def check(hook: Webhook, settings: FetchSettings) -> None:
    """Refuse a webhook that could never be delivered.

    Raises PackhouseError("bad_request"), or "forbidden" for an address that may not be reached. A name is judged
    when it is connected to, since what it resolves to may change (`check_name` says what it is now).
    """
    if len(hook.secret) < MIN_SECRET or not hook.secret.isascii() or not hook.secret.isprintable():
        raise PackhouseError(
            "bad_request",
            f"The secret of the webhook must be at least {MIN_SECRET} printable ASCII characters.",
            "Take a random one, for example of `openssl rand -hex 32`.",
        )
    if len(hook.url) > MAX_URL:
        raise PackhouseError("bad_request", f"The webhook's address has more than {MAX_URL} characters.", "Shorten it.")
    check_address(hook.url, settings)


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the value of `X-Packhouse-Signature` for a body sent `at` (unix seconds)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


async def deliver(hook: Webhook, event: str, delivery: str, body: bytes, settings: FetchSettings) -> None:
    """Send one event; returns when the receiver answered 2xx.

    `event` names what happened, `delivery` this message (the same when it is repeated); `body` is JSON.
    Raises PackhouseError: "delivery_failed" when the receiver does not want it, "try_later" with `retry_after` when it
    cannot be reached or has troubles after some attempts, "forbidden" for an address that may not be reached.
    """
    if not (_WORD.fullmatch(event) and _WORD.fullmatch(delivery)):
        raise ValueError("event and delivery are words of a header")

    def headers() -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "X-Packhouse-Event": event,
            "X-Packhouse-Delivery": delivery,
            "X-Packhouse-Signature": signature(hook.secret, body, wall_micros() // SECOND),
        }

    try:
        status = await post(hook.url, body, headers, settings)
    except PackhouseError as error:
        if error.code != "upstream_failed":
            raise
        raise PackhouseError(
            "try_later",
            f"The webhook was not delivered. {error.message}",
            f"The receiver must answer 2xx within {settings.answer_timeout:.0f} seconds; check that it runs.",
            retry_after=error.retry_after or RETRY_SECONDS,
        ) from None
    if not 200 <= status < 300:
        raise _unwanted(status)


def _unwanted(status: int) -> PackhouseError:
    hints = {
        401: "Check the user, password or secret of the webhook.",
        403: "Check the secret of the webhook.",
        404: "Check the address of the webhook.",
        410: "The receiver is gone for good: remove the webhook.",
    }
    if status < 400:
        message, hint = "redirects, which is not followed", "Write the address it leads to."
    else:
        message, hint = "does not take it", hints.get(status, "Look into the receiver's log.")
    return PackhouseError(
        "delivery_failed", f"The webhook was not delivered: its receiver answered {status}, it {message}.", hint
    )
