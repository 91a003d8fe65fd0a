"""Drafts made by a process of their own: while one batch is written, the next is rendered on another core.

The process opens the same database, only to read. It is started for a large backlog and ends some seconds after it, or
with the process that started it.
"""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from packhouse.core.db import Database, open_database
from packhouse.core.processes import end_with_parent
from packhouse.workflows.indexing.drafting import Draft, draft_ahead

#: how long the process is kept for another draft, in seconds; one draft takes a tenth of a second
IDLE_SECONDS = 10.0

_runner = asyncio.Runner()
_opened: list[Database] = []


class Ended(Exception):
    """The process could not be started, or was ended from outside, perhaps for want of memory."""


class DraftingProcess:
    """A process that drafts: started with the first draft, ended when nobody has wanted one for a while."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ProcessPoolExecutor | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._pool is not None

    def draft(self, channel_id: int, after: str) -> asyncio.Future[list[Draft]]:
        """Begin `draft_ahead`. The future raises Ended, and PackhouseError("try_later") when the database is away."""
        if self._pool is None:
            # not forked: that would inherit locks of threads
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(self._url,))
        loop = asyncio.get_running_loop()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = loop.call_later(IDLE_SECONDS, self.end)
        return asyncio.ensure_future(self._draft(self._pool, channel_id, after))

    async def _draft(self, pool: ProcessPoolExecutor, channel_id: int, after: str) -> list[Draft]:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _draft, channel_id, after)
        except (BrokenProcessPool, OSError) as error:
            self.end()
            raise Ended(str(error)) from None

    def end(self) -> None:
        """Let the process end after what it is at."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None


def _begin(url: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    end_with_parent()
    _opened.append(open_database(url))


def _draft(channel_id: int, after: str) -> list[Draft]:
    return _runner.run(draft_ahead(_opened[0], channel_id, after))
