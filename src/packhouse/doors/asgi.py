"""The few types and answers of plain ASGI that the data plane needs; no framework is in the way of a hot request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from packhouse.core.errors import PackhouseError
from packhouse.core.text import header_value

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON_TYPE = b"application/json"
#: set in the scope once the first header is out: from then on an error can only break the answer off
STARTED = "packhouse.started"
REALM = b'Basic realm="packhouse", charset="UTF-8"'


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def respond(send: Send, status: int, headers: Headers, body: bytes = b"", *, head: bool = False) -> None:
    """Send a whole answer; for HEAD the headers alone, `content-length` included."""
    start = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def respond_error(send: Send, error: PackhouseError, *, head: bool = False) -> None:
    """Send a refusal as `application/problem+json` (RFC 9457)."""
    headers: Headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"private, no-store")]
    if error.status == 401:
        headers.append((b"www-authenticate", REALM))
    if allow := error.details.get("allow"):
        headers.append((b"allow", str(allow).encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.code == "hidden":
        headers.append((b"x-packhouse-reason", header_value(error.message)))
    await respond(send, error.status, headers, msgspec.json.encode(error.body()), head=head)
