"""The body of an upload, piece by piece as it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import JSON_TYPE, Receive, Scope, Send, header, respond
from packhouse.doors.multipart import too_large
from packhouse.workflows.publishing.upload import Uploaded


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """Yield a body. Raises PackhouseError("bad_request") when the client breaks it off."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise PackhouseError("bad_request", "The upload broke off.", "Send it again.")
        yield message.get("body", b"")
        more = message.get("more_body", False)


def check_length(scope: Scope, limit: int) -> None:
    """Refuse before the first byte what is too large by its own account. Raises PackhouseError("too_large")."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
        raise too_large(limit)


async def say_stored(send: Send, done: Uploaded, status: int) -> None:
    """Tell the client what was stored."""
    body = {"name": done.coordinate.name, "ckey": done.coordinate.ckey, "sha256": done.hashes.sha256}
    await respond(send, status, [(b"content-type", JSON_TYPE)], msgspec.json.encode(body))
