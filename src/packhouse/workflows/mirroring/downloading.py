"""The second half of an active mirror's run: every selected file is downloaded, verified, and registered in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from packhouse.catalog import changes
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings
from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.catalog.packages import contents, entries
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher
from packhouse.workflows.mirroring.journal import Journal
from packhouse.workflows.mirroring.obtaining import obtain
from packhouse.workflows.mirroring.turn import Turn
from packhouse.workflows.mirroring.upstream import file_url

#: files looked up at a time, and registered per unit of work at most
PAGE = 1000
REGISTER = 200
#: so many files for which this server was busy or away mean that it is the server
_MOST_BUSY = 100


class Downloading:
    """The downloads of one run."""

    def __init__(self, turn: Turn, fetcher: Fetcher, indexes: Mapping[str, TakenIndex]) -> None:
        self._turn = turn
        self._fetcher = fetcher
        self._bases = {partition: taken.base_url for partition, taken in indexes.items()}
        self._journal = Journal(turn.services.settings.data_dir / "spool" / "mirrors", turn.mirror.uuid)
        self._ready: list[Fetched] = []
        self._registering = asyncio.Lock()
        self._busy = 0

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    async def recover(self) -> None:
        """Register what an earlier run on this node had downloaded when it was killed."""
        services = self._turn.services
        for one in self._journal.read():
            await contents.rescue(services.db, bytes.fromhex(one.hashes.sha256))
            if await services.blobs.exists(one.hashes.sha256):
                self._ready.append(one)
        await self._register()
        self._journal.clear()

    async def run(self, total: int) -> None:
        """Download the mirror's passive files. A file that fails is counted and reported, and stays passive."""
        turn = self._turn
        after = done = 0
        while page := await holdings.wanted(turn.services.db, turn.mirror.id, turn.channel.id, after, PAGE):
            after = page[-1].id
            turn.step(4, "Downloading", 100 * done // max(total, 1))
            await self._page(page)
            done += len(page)
        if self._busy:
            raise PackhouseError(
                "try_later", f"{self._busy} files are being fetched by somebody else.", "The run goes on shortly."
            )

    async def _page(self, page: Sequence[Wanted]) -> None:
        """Download one page with a fixed number of tasks; whatever ends the run lets none of them go on."""
        queue = list(reversed(page))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._turn.services.settings.mirror_concurrency, len(queue))):
                    group.create_task(self._work(queue))
        except* Exception as faults:
            raise _worst(faults) from None
        await self._register()
        self._journal.clear()

    async def _work(self, queue: list[Wanted]) -> None:
        while queue:
            one = queue.pop()
            await self._turn.job.checkpoint()
            if (fetched := await self._one(one)) is None:
                continue
            self._ready.append(fetched)
            if len(self._ready) >= REGISTER and not self._registering.locked():
                async with self._registering:
                    await self._register()

    async def _one(self, one: Wanted) -> Fetched | None:
        turn = self._turn
        try:
            url = file_url(self._bases.get(one.partition, ""), one.partition, one.filename, one.source_url)
            return await obtain(turn.services, self._fetcher, turn.mirror, one, url, self._journal.note)
        except PackhouseError as fault:
            if fault.code == "storage_full":
                raise
            if fault.code == "try_later":  # a client asked for this very file, or the sweeper has it in hand
                self._busy += 1
                if self._busy > _MOST_BUSY:
                    raise
                return None
            turn.fail(f"{one.partition}/{one.filename}", str(fault))
            return None

    async def _register(self) -> None:
        """Register what has been downloaded; the list is emptied first, since others go on filling it."""
        turn, batch = self._turn, self._ready[:]
        self._ready.clear()
        for start in range(0, len(batch), REGISTER):
            part = batch[start : start + REGISTER]

            async def work(unit: Unit, channel: Channel, part: Sequence[Fetched] = part) -> tuple[set[int], set[int]]:
                return await activate(unit, channel, part)

            turn.progress.last_ckey = f"{part[-1].wanted.partition}/{part[-1].wanted.filename}"
            taken, refused = await turn.write(work)
            turn.counts.downloaded += len(taken)
            turn.counts.active += len(taken)
            turn.counts.passive = max(0, turn.counts.passive - len(taken))
            for one in part:
                if one.wanted.id in refused:
                    ckey = f"{one.wanted.partition}/{one.wanted.filename}"
                    turn.fail(ckey, "It was published here with other bytes before.")


async def activate(unit: Unit, channel: Channel, files: Sequence[Fetched]) -> tuple[set[int], set[int]]:
    """Make passive entries active; return the ids that are now, and those whose coordinate is bound to other bytes.

    What is said of a package (its summary) comes from the bytes, so its name is published anew.
    """
    taken, refused = await holdings.set_contents(unit, channel.id, channel.path, files)
    names = {(one.wanted.partition, one.wanted.name) for one in files if one.wanted.id in taken}
    await entries.mark_dirty(unit, channel.id, sorted(names))
    await changes.note(unit, "entry", channel.id)
    return taken, refused


def _worst(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one of the faults: what ends a run before what is wrong with it."""
    flat: list[BaseException] = []
    for fault in faults.exceptions:
        flat.append(_worst(fault) if isinstance(fault, BaseExceptionGroup) else fault)
    return min(flat, key=lambda fault: isinstance(fault, PackhouseError))
