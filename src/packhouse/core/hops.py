"""Calls that block, run in threads: those that wait at the same time share one hop.

A hop into a thread and back costs as much as three small files take to be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from packhouse.core import log

_log = log.get_logger(__name__)
#: hops at a time: more would find fewer calls waiting
_AT_ONCE = 2
#: calls that share a hop at most
_TOGETHER = 32

T = TypeVar("T")
_Call = tuple[Callable[[], Any], Callable[[Any], None], "asyncio.Future[Any]"]


class Hops:
    """The hops of those that use one disk or tree, from one event loop."""

    def __init__(self) -> None:
        self._waiting: list[_Call] = []
        self._hopping: set[asyncio.Task[None]] = set()  #: no more than _AT_ONCE

    async def run(self, work: Callable[[], T], dropped: Callable[[T], None]) -> T:
        """Return what `work` returns or raises in a thread.

        Cancelled, it does not wait for the thread; what `work` returns then goes to `dropped`, to be closed.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, dropped, future))
        if len(self._hopping) < _AT_ONCE:
            self._hopping.add(asyncio.create_task(self._hop()))
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.exception() is None:  # it came after the result, before we woke
                _drop(dropped, future.result())
            raise

    async def _hop(self) -> None:
        """Go on for as long as calls wait; they are taken when the hop begins, so that more can share it."""
        task = asyncio.current_task()
        assert task is not None  # this is one
        try:
            while self._waiting:
                calls, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                try:
                    outcomes = await asyncio.to_thread(_outcomes, calls)
                except Exception as fault:  # there is no thread to be had
                    outcomes = [(None, fault)] * len(calls)
                for call, outcome in zip(calls, outcomes, strict=True):
                    _tell(call, *outcome)
        finally:  # here and not when the task is over: a call that comes between must not wait for it
            self._hopping.remove(task)


def _tell(call: _Call, result: Any, fault: Exception | None) -> None:
    _, dropped, future = call
    if not future.done():
        future.set_result(result) if fault is None else future.set_exception(fault)
    elif fault is None:  # whoever asked has gone away
        _drop(dropped, result)


def _drop(dropped: Callable[[T], None], result: T) -> None:
    """Close what nobody waits for any more; a fault in that is not of those who share the hop."""
    try:
        dropped(result)
    except Exception:
        _log.exception("What nobody waits for any more could not be closed.")


def _outcomes(calls: list[_Call]) -> list[tuple[Any, Exception | None]]:
    return [_outcome(work) for work, _, _ in calls]


def _outcome(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return work(), None
    except Exception as fault:
        return None, fault
