"""What the upstream has now, compared with what the channel shows: the part a dry run and a real run share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings
from packhouse.catalog.mirrors.holdings import Held, Incoming, Known
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.core.clock import DAY
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Response
from packhouse.formats.conda.filename import KNOWN_SUBDIRS
from packhouse.security.policies.decide import Policy
from packhouse.workflows.mirroring.informing import inform
from packhouse.workflows.mirroring.plan import Plan, plan
from packhouse.workflows.mirroring.selecting import Selector
from packhouse.workflows.mirroring.upstream import Reader, Source

#: how often a source without changes is searched for further subdirs
LOOK_AROUND = DAY
#: told of each step; may end the survey by raising
Step = Callable[[str], Awaitable[None]]


class Difference(NamedTuple):
    """One index and what to do about it."""

    source: Source
    plan: Plan
    mine: int  #: entries of the mirror in that partition
    first: bool  #: no index of this partition was taken in before
    dependencies: int  #: files selected only because others need them


class Survey:
    """One look at all indexes of a mirror's source."""

    def __init__(
        self,
        db: Database,
        mirror: Mirror,
        channel: Channel,
        reader: Reader,
        before: Mapping[str, TakenIndex],
        own: Policy,
    ) -> None:
        """`own`: the policy of the mirror itself, if it has one."""
        self._db, self._mirror, self._channel, self._reader = db, mirror, channel, reader
        self._before = before
        self._selector = Selector(mirror.filters, mirror.options, own)
        self._full = mirror.needs_full_run or self._selector.closes
        self._read: set[str] = set()
        self.looked_around = False  #: whether the source was searched for further subdirs
        #: partitions that were asked for and are not there
        self.absent: set[str] = set()
        #: entries to remove, with their partition; complete when `differences` has ended
        self.leaving: list[tuple[str, Known]] = []
        self.gone = 0  #: those of them that the upstream has lost
        self.mine = 0  #: entries of the mirror that were looked at

    async def differences(self, looked_around_at: int, step: Step) -> AsyncIterator[Difference]:
        """Yield the differences, one index at a time; nothing when the upstream's indexes are all the same.

        Raises PackhouseError("upstream_failed") when the source is no channel or cannot be read.
        """
        await step("Asking the upstream what has changed")
        look = self._mirror.needs_full_run or await self._db.now() - looked_around_at > LOOK_AROUND
        self.looked_around = look
        sources = self._together if self._selector.closes else self._one_by_one
        async with aclosing(sources(look, step)) as found:
            async for source in found:
                yield await self._compare(source, step)
        if not self._read and not self._before:
            raise PackhouseError(
                "upstream_failed",
                f"There is no conda channel at {self._mirror.source}: no subdir has an index.",
                "Check the address, and the credential if it needs one.",
            )
        if self._read or self.absent or look:
            await self._add_unread()

    async def _one_by_one(self, look: bool, step: Step) -> AsyncGenerator[Source]:
        """Yield the indexes that are new or have changed, each read only when the one before was taken in."""
        for partition, taken in self._before.items():
            if not self._selector.reads(partition):
                continue
            answer = None if self._full else await self._reader.changed(taken)
            if (self._full or answer is not None) and (source := await self._source(partition, answer, step)):
                yield source
        for partition in await self._further(look):
            if source := await self._source(partition, None, step):
                yield source

    async def _together(self, look: bool, step: Step) -> AsyncGenerator[Source]:
        """Yield all indexes when any has changed, after files were selected across them."""
        known = [name for name in self._before if self._selector.reads(name)]
        further = await self._further(look)
        if not (look or [1 for name in known if await self._reader.changed(self._before[name]) is not None]):
            return
        found = [await self._source(partition, None, step) for partition in (*known, *further)]
        sources = {source.partition: source for source in found if source is not None}
        await asyncio.to_thread(self._selector.close, sources)
        for source in sources.values():
            yield source

    async def _further(self, look: bool) -> list[str]:
        """Return subdirs to read besides those known: selected ones that were not there, and now and then new ones."""
        return await self._unknown() if look or self._mirror.filters.subdirs else []

    async def _unknown(self) -> list[str]:
        """Return subdirs to read that were never read before; without a filter those the source turns out to have."""
        names = sorted(name for name in self._selector.partitions(KNOWN_SUBDIRS) if name not in self._before)
        if self._mirror.filters.subdirs:
            return names
        offered = await asyncio.gather(*(self._reader.offers(name) for name in names))
        return [name for name, there in zip(names, offered, strict=True) if there]

    async def _source(self, partition: str, answer: Response | None, step: Step) -> Source | None:
        await step(f"Reading the index of {partition}")
        before = None if self._full else self._before.get(partition)
        first = partition not in self._before
        wanted = self._selector.name
        source = await self._reader.read(partition, wanted=wanted, before=before, answer=answer, first=first)
        (self.absent if source is None else self._read).add(partition)
        if source is not None:
            await inform(self._db, source, self._selector.policy)
        return source

    async def _compare(self, source: Source, step: Step) -> Difference:
        partition = source.partition
        await step(f"Comparing {partition}")
        known = await holdings.known(self._db, self._channel.id, self._mirror.family, partition)
        kept_out = await holdings.kept_out(self._db, self._channel.id, self._mirror.family, partition)
        found = await asyncio.to_thread(self._plan, source, known, kept_out)
        mine = sum(entry.mirror_id == self._mirror.id for entry in known.values())
        self.mine += mine
        self.gone += len(found.gone)
        self.leaving += [(partition, entry) for entry in (*found.gone, *found.excluded)]
        first = partition not in self._before
        return Difference(source, found, mine, first, self._selector.added.get(partition, 0))

    def _plan(self, source: Source, known: Mapping[str, Known], kept_out: frozenset[str]) -> Plan:
        chosen = self._selector.selections.get(source.partition)
        # what is known, and whose signatures count, changes without a change upstream
        full = self._full or source.knowledge is not None or source.signed is not None
        return plan(source, known, self._mirror.id, self._selector.policy, kept_out, full=full, selection=chosen)

    async def _add_unread(self) -> None:
        """Add what the mirror holds in partitions that are gone upstream, or not selected any more."""
        for partition in sorted(await holdings.partitions(self._db, self._mirror.id, self._channel.id) - self._read):
            if self._selector.reads(partition) and partition not in self.absent:
                continue  # its index is unchanged
            known = await holdings.known(self._db, self._channel.id, self._mirror.family, partition)
            mine = [entry for entry in known.values() if entry.mirror_id == self._mirror.id]
            self.leaving += [(partition, entry) for entry in mine]
            self.mine += len(mine)
            self.gone += len(mine) if partition in self.absent else 0


def shrinks(gone: int, mine: int, percent: int) -> str | None:
    """Return what to ask an administrator when more than `percent` of the mirror's files are gone, else None."""
    if gone * 100 <= percent * mine:
        return None
    return (
        f"The upstream has lost {gone:,} of the {mine:,} files this mirror looked at, more than {percent} %. "
        "Nothing was removed."
    )


def entry_ids(batch: Sequence[Incoming]) -> list[int]:
    """Return the entries a batch touches."""
    return [one.entry_id for one in batch if one.entry_id is not None]


def standing(one: Incoming, held: Mapping[int, Held]) -> Held | None:
    """Return what is known of the entry at a record's coordinate."""
    return held.get(one.entry_id) if one.entry_id is not None else None
