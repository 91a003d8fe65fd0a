"""Calls that share a hop into a thread: each gets its own outcome, and what nobody waits for is closed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest

from packhouse.core.hops import Hops


def _fails(_: object = None) -> NoReturn:
    raise OSError("no")


async def test_each_gets_its_own_result_or_fault() -> None:
    hops = Hops()
    calls = (hops.run(lambda: 1, _fails), hops.run(_fails, _fails), hops.run(lambda: 2, _fails))
    one, fault, two = await asyncio.gather(*calls, return_exceptions=True)
    assert (one, str(fault), two) == (1, "no", 2)


async def test_the_result_of_one_who_went_away_while_it_was_made_is_closed() -> None:
    hops, closed = Hops(), list[str]()
    gone = asyncio.create_task(hops.run(lambda: "file", closed.append))
    await asyncio.sleep(0)
    gone.cancel()
    await hops.run(lambda: None, _fails)
    assert closed == ["file"]


async def test_the_result_of_one_who_is_cancelled_between_having_it_and_waking_is_closed() -> None:
    hops, closed = Hops(), list[str]()

    async def wakes_first() -> None:
        await hops.run(lambda: None, _fails)
        gone.cancel()

    first = asyncio.create_task(wakes_first())
    gone = asyncio.create_task(hops.run(lambda: "file", closed.append))
    await first
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert closed == ["file"]


async def test_a_result_that_cannot_be_closed_is_no_fault_of_the_others() -> None:
    hops = Hops()
    gone = asyncio.create_task(hops.run(lambda: "file", _fails))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(60):
        assert await hops.run(lambda: "other", _fails) == "other"


async def test_those_for_whom_there_is_no_thread_are_told() -> None:
    hops, ended = Hops(), ThreadPoolExecutor(1)
    ended.shutdown()
    asyncio.get_running_loop().set_default_executor(ended)
    async with asyncio.timeout(60):
        faults = await asyncio.gather(*(hops.run(int, _fails) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(fault, RuntimeError) for fault in faults), faults
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        assert await hops.run(lambda: 1, _fails) == 1
