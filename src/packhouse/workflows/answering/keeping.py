"""The files of the channel that was asked about last, kept in columns for the next question.

Who tries one policy tries others soon, and to read a million files takes seconds. What is kept is used only while
nothing has changed that it was made from; it costs the memory of one channel, for some minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from weakref import WeakKeyDictionary

from packhouse.catalog import changes
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.rule import Lookup
from packhouse.workflows.judging.batches import batch_of_channel
from packhouse.workflows.judging.columns import Files, files_in
from packhouse.workflows.judging.whole import demands_of

#: how long a channel is kept after the last question, in seconds
SECONDS = 600.0

#: by database, of which a process has one
_kept: WeakKeyDictionary[Database, LastChannel] = WeakKeyDictionary()


def last_channel(db: Database) -> LastChannel:
    """Return what this process keeps."""
    return _kept.setdefault(db, LastChannel())


class KeptFiles:
    """All files of one family in a channel, and what was looked up of them so far."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._batch: Batch | None = None
        self._policies: list[Policy] = []  # for which it was made
        self._demands: Demands | None = None

    async def batch(self, db: Database, policies: Sequence[Policy]) -> Batch:
        """Return the columns that these policies look at."""
        if self._batch is None or _looked_up(policies) - _looked_up(self._policies):
            every = [*self._policies, *policies]
            # nothing is kept of what is broken off
            self._batch, self._policies = await batch_of_channel(db, self.files, every), every
        return self._batch

    async def demands(self, db: Database, batch: Batch) -> Demands:
        """Return what the files need of each other; `batch` are their columns, whatever was looked up."""
        if self._demands is None:
            self._demands = await demands_of(db, batch, self.files.record_id.tolist())
        return self._demands


class LastChannel:
    """Keeps the files of one channel, for whoever has it to himself."""

    def __init__(self) -> None:
        self._stamp: object = None
        self._families: dict[str, KeptFiles] = {}
        self._end: asyncio.TimerHandle | None = None
        self._taken = False

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Have it for the block. Raises PackhouseError("try_later") while somebody else does."""
        if self._taken:
            raise PackhouseError(
                "try_later", "Another simulation is under way; one runs at a time.", "Try again shortly.", retry_after=5
            )
        self._taken = True
        try:
            yield
        finally:
            self._taken = False

    async def files(self, db: Database, channel_id: int, family: str) -> KeptFiles:
        """Return the files of a family in a channel, as they are now."""
        stamp = (channel_id, await changes.stamp(db, channel_id))  # first: what comes while we read is seen then
        if stamp != self._stamp:
            self._stamp, self._families = stamp, {}
        if family not in self._families:
            self._families[family] = KeptFiles(await files_in(db, channel_id, family))
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(SECONDS, self.forget)
        return self._families[family]

    def forget(self) -> None:
        """Keep nothing."""
        self._stamp, self._families = None, {}


def _looked_up(policies: Iterable[Policy]) -> set[Lookup]:
    return {what for policy in policies for what in policy.looks_up}
