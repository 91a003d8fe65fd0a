"""Conditional requests and ranges (RFC 9110 sections 13 and 14), as far as package clients use them."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from packhouse.core.clock import SECOND
from packhouse.doors.asgi import Scope

_NAMES = frozenset({b"if-none-match", b"if-modified-since", b"range", b"if-range"})
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")


def conditions(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers the rest of this module looks at; most requests have none of them."""
    return {name: value for name, value in scope["headers"] if name in _NAMES}


def not_modified(asked: dict[bytes, bytes], etag: bytes, modified_at: int) -> bool:
    """Whether the client has this representation already. `etag` is quoted; `If-None-Match` wins over the date."""
    if (tags := asked.get(b"if-none-match")) is not None:
        return tags == etag or tags.strip() == b"*" or etag in (_opaque(tag) for tag in tags.split(b","))
    if (date := asked.get(b"if-modified-since")) is not None:
        try:
            since = parsedate_to_datetime(date.decode("latin-1"))
            return since.tzinfo is not None and modified_at // SECOND <= since.timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            return False
    return False


def _opaque(tag: bytes) -> bytes:
    """Weak comparison is the one for `If-None-Match` (RFC 9110 section 13.1.2)."""
    return tag.strip().removeprefix(b"W/")


def wanted_range(asked: dict[bytes, bytes], etag: bytes, size: int) -> tuple[int, int] | None:
    """Return (start, length) of the one range asked for, or None for the whole.

    A range with `If-Range` of another representation is ignored, as are several ranges and other units. Raises
    ValueError for a range that lies outside: the answer to that is 416.
    """
    value = asked.get(b"range")
    if value is None or (match := _RANGE.fullmatch(value.strip())) is None:
        return None
    if (condition := asked.get(b"if-range")) is not None and condition.strip() != etag:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        length = min(int(last), size)
        if length == 0:
            raise ValueError("an empty suffix")
        return size - length, length
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if start >= size:
        raise ValueError("beyond the end")
    return None if end < start else (start, end - start + 1)
