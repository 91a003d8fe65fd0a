"""Waiting for a while, or until something happens."""

from __future__ import annotations

import asyncio


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Return after `seconds`, or as soon as `event` is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
