"""Pages of lists that are remembered encoded, for as long as what they show has not changed.

Each is kept with the change number it was read at; a request asks the database for the number only. Whether the caller
may see the list has been decided before (`guard`): what else depends on who asks is part of a page's key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, NamedTuple

from litestar import Request, Response

from packhouse.doors.serve.conditional import not_modified

#: bytes of all pages kept by one process, and of the longest that is kept
MOST_BYTES = 32 << 20
MOST_PAGE_BYTES = 1 << 20
#: what a page costs beside its bytes
OVERHEAD_BYTES = 1024


class EncodedPage(NamedTuple):
    """A page of a list as it is sent."""

    number: Hashable  #: the change number of what it shows, no newer than the page itself
    body: bytes
    etag: str


def encoded(number: Hashable, body: bytes) -> EncodedPage:
    """Return a page with its strong ETag."""
    return EncodedPage(number, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class Pages:
    """The pages of one process; those longest unused go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, EncodedPage] = OrderedDict()
        self._bytes = 0

    def find(self, key: Hashable, number: Hashable) -> EncodedPage | None:
        """Return the page kept under `key` if it shows what stands at change `number`."""
        page = self._kept.get(key)
        if page is None or page.number != number:
            return None
        self._kept.move_to_end(key)
        return page

    def keep(self, key: Hashable, page: EncodedPage) -> None:
        """Keep a page instead of the one kept so far, unless it is too long."""
        self._drop(key)
        if len(page.body) > MOST_PAGE_BYTES:
            return
        self._kept[key] = page
        self._bytes += len(page.body) + OVERHEAD_BYTES
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        page = self._kept.pop(key, None)
        if page is not None:
            self._bytes -= len(page.body) + OVERHEAD_BYTES


def answer(request: Request[Any, Any, Any], page: EncodedPage) -> Response[Any]:
    """Return the page, or 304 to a client that has it already; a cache must ask again each time."""
    headers = {"ETag": page.etag, "Cache-Control": "private, no-cache"}
    tags = request.headers.get("if-none-match")
    if tags is not None and not_modified({b"if-none-match": tags.encode("latin-1")}, page.etag.encode(), 0):
        return Response(b"", status_code=304, headers=headers)
    return Response(page.body, headers=headers, media_type="application/json")
