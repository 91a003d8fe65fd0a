"""Drafts made by processes of their own: while one batch is written, the next are rendered on other cores.

They open the same database, only to read. They are started for a large backlog, or before one that is expected, and end
some seconds after it, or with the process that started them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from packhouse.core.db import Database, open_database
from packhouse.core.processes import end_with_parent
from packhouse.workflows.indexing.drafting import Draft, draft_ahead

#: how many there are: drafting costs five times what it costs to write the drafts
PROCESSES = min(2, os.cpu_count() or 1)
#: how long they are kept for another draft, in seconds; one draft takes a tenth of a second
IDLE_SECONDS = 10.0

#: drafts, and the names of which there are none yet
Drafted = tuple[list[Draft], Sequence[str]]

_runner = asyncio.Runner()
_opened: list[Database] = []


class Ended(Exception):
    """A process could not be started, or was ended from outside, perhaps for want of memory."""


class DraftingProcesses:
    """Processes that draft: started with the first drafts, ended when nobody has wanted one for a while."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ProcessPoolExecutor | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Whether they are there."""
        return self._pool is not None

    def draft(self, channel_id: int, names: Sequence[str]) -> asyncio.Task[Drafted]:
        """Begin `draft_ahead`. Raises Ended, as the task does, or PackhouseError("try_later") without a database."""
        loop = asyncio.get_running_loop()
        pool = self.start()
        with self._ended(pool):  # now, not when the task begins: by then they may have been let go
            return loop.create_task(self._drafted(pool, loop.run_in_executor(pool, _draft, channel_id, names)))

    def start(self) -> ProcessPoolExecutor:
        """Start them unless they are there, and keep them for another while. Raises Ended."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end)
        return self._pool or self._spawn()

    def _spawn(self) -> ProcessPoolExecutor:
        # not forked: that would inherit locks of threads
        pool = self._pool = ProcessPoolExecutor(
            PROCESSES, get_context("spawn"), initializer=_begin, initargs=(self._url,)
        )
        with self._ended(pool):
            for _ in range(PROCESSES):  # all at once: started later, one would get the pipes of a pool that is breaking
                pool.submit(os.getpid)
        return pool

    async def _drafted(self, pool: ProcessPoolExecutor, drafted: asyncio.Future[Drafted]) -> Drafted:
        with self._ended(pool):
            return await drafted

    @contextmanager
    def _ended(self, pool: ProcessPoolExecutor) -> Iterator[None]:
        try:
            yield
        except (BrokenProcessPool, OSError) as error:
            if pool is self._pool:  # not those that were started since
                self.end()
            raise Ended(str(error)) from None

    def end(self) -> None:
        """Let the processes end after what they are at."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None


def _begin(url: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    end_with_parent()
    _opened.append(open_database(url))
    gc.freeze()  # what was imported stays: each collection would look at all of it, a tenth of what drafting costs


def _draft(channel_id: int, names: Sequence[str]) -> Drafted:
    return _runner.run(draft_ahead(_opened[0], channel_id, names))
