"""Work that is only for the client who asked for it: it ends when that one leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from litestar import Request

from packhouse.core.errors import PackhouseError

T = TypeVar("T")


async def while_there(request: Request[Any, Any, Any], work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` does. It is cancelled when the client leaves first, whom no answer reaches then.

    The body must have been read. Raises what `work` raises.
    """
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise PackhouseError("bad_request", "The request broke off.", "Send it again.")
    finally:
        leaving.cancel()
        if doing.cancel():
            await asyncio.wait({doing})


async def _left(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
