"""Sending to an address that a user named, as webhooks do: guarded as fetching is, and no redirect is followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from yarl import URL

from packhouse.core.fetch.guard import Guard, Refused
from packhouse.core.fetch.http import HttpSource
from packhouse.core.fetch.model import FetchSettings
from packhouse.core.fetch.retry import Attempts, Transient


async def post(url: str, body: bytes, headers: Callable[[], Mapping[str, str]], settings: FetchSettings) -> int:
    """Send `body` and return the status of the answer: 2xx, 3xx or 4xx. Its own body is not read.

    `headers` is asked before each attempt. Faults, 408, 425, 429 and most of 5xx are repeated with back-off.
    Raises PackhouseError("upstream_failed") when that did not help, Refused for an address that may not be reached.
    No message shows more of the address than its origin.
    """
    address = check_address(url, settings)
    source, attempts = HttpSource(address, settings), Attempts(settings)
    await source.open()
    try:
        while True:
            try:
                return await source.post(address.with_user(None), {"Accept-Encoding": "identity", **headers()}, body)
            except Transient as fault:
                await attempts.pause(fault)
    finally:
        await source.close()


def check_address(url: str, settings: FetchSettings) -> URL:
    """Return the address as it will be asked for. Raises Refused, also for a literal private one nobody allowed."""
    if not url.isprintable():  # readers drop some control characters: what was looked at is not what is asked for
        raise Refused("The address to send to has characters that cannot be shown.", "Write https://HOST/PATH.")
    try:
        address = URL(url).with_fragment(None)
        usable = address.scheme in ("http", "https") and bool(address.raw_host and address.port)
    except ValueError:
        usable = False
    if not usable:
        raise Refused("The address to send to is no http or https address.", "Write https://HOST/PATH.")
    Guard(settings.allowed_private).check_url(address)
    return address


async def check_name(url: str, settings: FetchSettings) -> None:
    """Refuse an address as `check_address`, and one whose name is private now; what it is later, `post` finds out."""
    await Guard(settings.allowed_private).check_name(check_address(url, settings))
