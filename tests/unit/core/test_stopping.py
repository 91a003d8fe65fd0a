"""Calculations in threads of their own."""

from __future__ import annotations

import asyncio
from threading import Event, current_thread

import pytest

from packhouse.core.stopping import Stopped, calculate, checkpoint


async def test_an_answer_and_an_error_come_back() -> None:
    checkpoint()  # outside of any calculation it does nothing
    assert await calculate(lambda: 6 * 7) == 42
    assert await calculate(lambda: current_thread().daemon), "the end of the process does not wait for it"
    with pytest.raises(ZeroDivisionError):
        await calculate(lambda: 1 // 0)


async def test_a_calculation_ends_when_nobody_waits_for_it() -> None:
    begun, ended = Event(), Event()

    def endless() -> None:
        begun.set()
        try:
            while True:
                checkpoint()
        except Stopped:
            ended.set()
            raise

    waiting = asyncio.ensure_future(calculate(endless))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(ended.wait, 60)
