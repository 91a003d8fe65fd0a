"""Asking a service that answers in JSON, as identity providers do: once, guarded, and without following redirects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from packhouse.core.errors import PackhouseError
from packhouse.core.fetch.http import HttpSource
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.fetch.posting import check_address
from packhouse.core.fetch.retry import Transient

MOST_BYTES = 256 * 1024


async def ask_json(
    url: str,
    settings: FetchSettings,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of the answer to GET, or to POST of a form.

    A form is sent once: what it carries may count once only. Raises PackhouseError("upstream_failed") for whoever
    does not answer, redirects, or answers with anything but an object of at most 256 KiB; Refused for an address that
    may not be reached.
    """
    address = check_address(url, settings)
    source = HttpSource(address, settings)
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
    body = None
    if form is not None:
        body, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
    await source.open()
    try:
        async with source.ask(address.with_user(None), sent, body) as answer:
            text = await answer.body(MOST_BYTES, may_inflate=False)
            if 300 <= answer.status < 400:
                raise PackhouseError("upstream_failed", f"{answer.where} redirects, which is not followed here.")
            return answer.status, _object(text, answer.where)
    except Transient as fault:
        raise PackhouseError("upstream_failed", str(fault), "Try again later.") from None
    finally:
        await source.close()


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PackhouseError("upstream_failed", f"{where} did not answer with a JSON object.")
    return found
