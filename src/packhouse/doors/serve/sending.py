"""Bytes to a client: from memory, by one `pread`, by the server's own file sending, or streamed from the store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from packhouse.core.clock import to_http_date
from packhouse.doors.asgi import STARTED, Headers, Message, Scope, Send, respond
from packhouse.doors.serve.conditional import conditions, not_modified, wanted_range

#: up to this size one inline read beats every hand-over: it takes less time than a thread hop
INLINE_BYTES = 256 * 1024
CHUNK_BYTES = 256 * 1024

OCTETS = b"application/octet-stream"
#: an index must be asked for again each time: with an ETag that costs one 304, and it is never out of date
FRESH = b"private, no-cache"


class Representation:
    """What a URL stands for just now: its validators, its type, and where its bytes are. Headers are encoded once."""

    __slots__ = ("body", "etag", "headers", "modified_at", "path", "remembered", "size", "unchanged", "whole")

    def __init__(
        self,
        *,
        etag: str,
        modified_at: int,
        size: int,
        cache: bytes,
        media_type: bytes = OCTETS,
        body: bytes | None = None,
        path: Path | None = None,
        chosen_by: bytes = b"",
    ) -> None:
        self.etag = b'"' + etag.encode() + b'"'
        self.modified_at, self.size, self.body = modified_at, size, body
        self.path = str(path) if path is not None else None
        self.headers: Headers = [
            (b"etag", self.etag),
            (b"last-modified", to_http_date(modified_at).encode()),
            (b"cache-control", cache),
            (b"vary", b"Authorization, Cookie, X-Auth" + (b", " + chosen_by if chosen_by else b"")),
            (b"content-type", media_type),
            (b"accept-ranges", b"bytes"),
            (b"x-content-type-options", b"nosniff"),
        ]
        self.remembered = False  #: whether a small body stays here once it was read
        #: the beginnings of the two answers that nearly every request gets
        self.unchanged = _start(304, self.headers)
        self.whole = _start(200, [*self.headers, (b"content-length", b"%d" % size)])


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


#: the end of an answer, or all of one without a body
_END: Message = {"type": "http.response.body", "body": b""}


async def send_representation(scope: Scope, send: Send, what: Representation) -> bool:
    """Answer GET or HEAD with 200, 206, 304 or 416; return whether the file's first byte was sent.

    Raises FileNotFoundError, before anything is sent, when the file is gone.
    """
    head = scope["method"] == "HEAD"
    asked = conditions(scope)
    if asked and not_modified(asked, what.etag, what.modified_at):
        await send(what.unchanged)
        await send(_END)
        return False
    try:
        span = wanted_range(asked, what.etag, what.size) if asked else None
    except ValueError:
        await respond(send, 416, [*what.headers, (b"content-range", b"bytes */%d" % what.size)], head=head)
        return False
    start, length = span or (0, what.size)
    body = None if head else _at_hand(what, start, length)
    scope[STARTED] = True
    await send(what.whole if span is None else _part(what, start, length))
    if head:
        await send(_END)
        return False
    if body is not None:
        await send({"type": "http.response.body", "body": body})
    else:
        await _send_file(scope, send, what, start, length)
    return start == 0


def _part(what: Representation, start: int, length: int) -> Message:
    span = (b"content-range", b"bytes %d-%d/%d" % (start, start + length - 1, what.size))
    return _start(206, [*what.headers, (b"content-length", b"%d" % length), span])


def _at_hand(what: Representation, start: int, length: int) -> bytes | None:
    """Return a small body, read before the first header goes out; None for one that is sent from its file."""
    if what.body is not None:
        return what.body if length == what.size else what.body[start : start + length]
    if what.path is None:
        raise ValueError("a representation has a body or a path")
    if length <= INLINE_BYTES:
        body = _read(what.path, start, length)
        if what.remembered and length == what.size:
            what.body = body
        return body
    os.stat(what.path)  # noqa: PTH116  # gone must be an error now, not a broken answer later; hot path
    return None


async def _send_file(scope: Scope, send: Send, what: Representation, start: int, length: int) -> None:
    if length == what.size and "http.response.pathsend" in scope.get("extensions", ()):
        await send({"type": "http.response.pathsend", "path": what.path})
        return
    try:
        async for chunk in _chunks(what.path or "", start, length):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except FileNotFoundError as gone:  # too late for another answer
        raise ConnectionAbortedError("the file went while it was about to be sent") from gone
    await send(_END)


def _read(path: str, start: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)


async def _chunks(path: str, start: int, length: int) -> AsyncIterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        end = start + length
        while start < end:
            chunk = await asyncio.to_thread(os.pread, descriptor, min(CHUNK_BYTES, end - start), start)
            if not chunk:
                return
            start += len(chunk)
            yield chunk
    finally:
        os.close(descriptor)
