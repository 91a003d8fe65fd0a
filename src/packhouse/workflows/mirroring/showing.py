"""Publishes what a run takes in while it goes on taking in, so that neither waits for the other."""

from __future__ import annotations

import asyncio
from types import TracebackType

from packhouse.workflows.indexing.publishing import Publisher

#: records taken in before publishing begins beside it, unless the duty of some worker was first: enough for a process
#: that renders them
RECORDS = 60_000


class Showing:
    """An `async with` block; whatever was under way has ended after it."""

    def __init__(self, publisher: Publisher, channel_id: int) -> None:
        self._publisher, self._channel_id = publisher, channel_id
        self._records = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Showing:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            if error is not None:  # what is not published yet is, by whoever looks next
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def taken_in(self, records: int) -> None:
        """Note that so many records more were taken in. Raises what publishing raised."""
        self._records += records
        if self._task is not None and self._task.done():
            self._task.result()
            self._task = None
        if self._task is None and self._records >= RECORDS:
            self._records = 0
            self._task = asyncio.create_task(self._publisher.publish(self._channel_id))

    async def everything(self) -> None:
        """Return once all that was taken in is published."""
        if self._task is not None:
            await self._task
            self._task = None
        self._records = 0
        await self._publisher.publish(self._channel_id)
