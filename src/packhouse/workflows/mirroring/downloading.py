"""The second half of an active mirror's run: every selected file is downloaded, verified, and registered in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packhouse.catalog import changes
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings
from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.catalog.packages import contents, entries
from packhouse.core.blobs import Hashes, Writer, commit_all
from packhouse.core.clock import monotonic
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher
from packhouse.workflows.judging.arriving import judge_arrivals
from packhouse.workflows.mirroring.journal import Journal, journal_folder
from packhouse.workflows.mirroring.obtaining import checked, partial, receive
from packhouse.workflows.mirroring.turn import Turn
from packhouse.workflows.mirroring.upstream import file_url

#: files looked up at a time
PAGE = 1000
#: files, or bytes, that are looked into, made durable and registered together
TOGETHER = 128
_TOGETHER_BYTES = 32 * 2**20
#: how long the first of them waits for others from a slow upstream, about, in seconds: what is done shows, and counts
_TOGETHER_SECONDS = 0.25
#: batches on that way at a time: one is looked into while the one before it is stored; their files are open meanwhile
_BATCHES = 2
#: so many files for which this server was busy or away mean that it is the server
_MOST_BUSY = 100


class Received(NamedTuple):
    """A verified file whose bytes wait in their partial file to be looked into and made a blob with others."""

    wanted: Wanted
    hashes: Hashes
    writer: Writer  #: to be closed


class Downloading:
    """The downloads of one run."""

    def __init__(self, turn: Turn, fetcher: Fetcher, indexes: Mapping[str, TakenIndex]) -> None:
        self._turn = turn
        self._fetcher = fetcher
        self._bases = {partition: taken.base_url for partition, taken in indexes.items()}
        self._journal = Journal(journal_folder(turn.services), turn.mirror.uuid)
        self._queue: list[Wanted] = []
        self._paging = asyncio.Lock()
        self._after = self._looked_up = self._total = 0
        self._received: list[Received] = []
        self._bytes = 0  #: of what was received
        self._since = 0.0  #: when the first of it was, by the monotonic clock
        self._keeping = asyncio.Semaphore(_BATCHES)
        self._storing = asyncio.Lock()
        self._busy = 0

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    async def recover(self) -> None:
        """Register what an earlier run on this node had downloaded when it was killed."""
        services = self._turn.services
        there: list[Fetched] = []
        for noted in self._journal.read():
            one = noted._replace(since=monotonic())
            await contents.rescue(services.db, bytes.fromhex(one.hashes.sha256))
            if await services.blobs.exists(one.hashes.sha256):
                there.append(one)
        for start in range(0, len(there), TOGETHER):
            await self._register(there[start : start + TOGETHER])
        self._journal.clear()

    async def run(self, total: int) -> None:
        """Download the mirror's passive files, about `total`. One that fails is counted, reported, and stays passive.

        A fixed number of tasks does it; whatever ends the run lets none of them go on.
        """
        self._total = max(total, 1)
        await self._turn.services.sandbox.start()  # it takes a moment until it can read, and the first files too
        concurrency = self._turn.services.settings.mirror_concurrency
        try:
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(self._work()) for _ in range(min(concurrency, self._total))]
                group.create_task(self._keep_waiting(workers))
            await self._keep()
        except* Exception as faults:
            raise _worst(faults) from None
        finally:
            for one in self._received:  # of a run that ends early: partial files, which the next run finds whole
                one.writer.close()
        if self._busy:
            raise PackhouseError(
                "try_later", f"{self._busy} files are being fetched by somebody else.", "The run goes on shortly."
            )

    async def _work(self) -> None:
        while (one := await self._next()) is not None:
            if self._turn.job.end is not None:  # as a checkpoint says it, but without a turn of the event loop
                raise self._turn.job.end
            if (received := await self._one(one)) is None:
                continue
            if not self._received:
                self._since = monotonic()
            self._received.append(received)
            self._bytes += received.writer.size
            await self._keep_batch()

    async def _keep_waiting(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Keep what would wait for others that do not come, while all tasks are at large files; end after them."""
        while (await asyncio.wait(workers, timeout=_TOGETHER_SECONDS))[1]:
            await self._keep_batch()

    async def _keep_batch(self) -> None:
        if self._is_batch():
            async with self._keeping:  # all others wait here too when the disk is slower than the network
                if self._is_batch():
                    await self._keep()

    async def _next(self) -> Wanted | None:
        """Return the file to download next; None when there is none left."""
        async with self._paging:
            if not self._queue:
                turn = self._turn
                page = await self._page()
                turn.step(4, "Downloading", 100 * min(self._looked_up, self._total) // self._total)
                self._queue = page[::-1]
                self._looked_up += len(page)
                self._after = page[-1].id if page else self._after
            return self._queue.pop() if self._queue else None

    async def _page(self) -> list[Wanted]:
        """Return the next files to download, by what the channel shows at this moment."""
        mirror, channel_id = self._turn.mirror, self._turn.channel.id
        shown = mirror.options.use_channel_policy
        return await holdings.wanted(self._turn.services.db, mirror.id, channel_id, self._after, PAGE, shown=shown)

    def _is_batch(self) -> bool:
        if not self._received:
            return False
        waited = monotonic() - self._since
        return len(self._received) >= TOGETHER or self._bytes >= _TOGETHER_BYTES or waited >= _TOGETHER_SECONDS

    async def _one(self, one: Wanted) -> Received | None:
        turn = self._turn
        try:
            url = file_url(self._bases.get(one.partition, ""), one.partition, one.filename, one.source_url)
            writer = partial(turn.services, turn.mirror, one, url)
            await writer.open()
            try:
                return Received(one, await receive(turn.services, self._fetcher, writer, one, url), writer)
            except BaseException:
                writer.close()
                raise
        except PackhouseError as fault:
            self._missed(one, fault)
            return None

    async def _keep(self) -> None:
        """Look into what was received, make blobs of it and register them; others fill the emptied list meanwhile."""
        batch, self._received, self._bytes = self._received, [], 0
        try:
            files = await self._checked(batch)
            async with self._storing:  # the journal has one batch at a time
                self._journal.note(list(files.values()))
                await commit_all(list(files))
                await self._register(list(files.values()))
                self._journal.clear()
        finally:
            for one in batch:
                one.writer.close()

    async def _checked(self, batch: Sequence[Received]) -> dict[Writer, Fetched]:
        sandbox = self._turn.services.sandbox
        found = await sandbox.inspect_all([(one.writer.path, one.wanted.filename) for one in batch])
        files: dict[Writer, Fetched] = {}
        for one, facts in zip(batch, found, strict=True):
            try:
                files[one.writer] = checked(one.writer, one.wanted, one.hashes, facts)
            except PackhouseError as fault:
                self._missed(one.wanted, fault)
        return await self._rescued(files)

    async def _rescued(self, files: dict[Writer, Fetched]) -> dict[Writer, Fetched]:
        """Take their bytes off the sweeper's list; return those that it has not in hand."""
        db = self._turn.services.db
        hashes = {writer: bytes.fromhex(file.hashes.sha256) for writer, file in files.items()}
        doomed = await contents.doomed(db, list(hashes.values()))
        for writer, sha256 in hashes.items():
            if sha256 in doomed:
                try:
                    await contents.rescue(db, sha256)
                except PackhouseError as fault:
                    self._missed(files.pop(writer).wanted, fault)
        return files

    def _missed(self, one: Wanted, fault: PackhouseError) -> None:
        """Go on without a file, unless the fault is of this server."""
        if fault.code == "storage_full":
            raise fault
        if fault.code == "try_later":  # a client asked for this very file, or the sweeper has it in hand
            self._busy += 1
            if self._busy > _MOST_BUSY:
                raise fault
        else:
            self._failed(one, str(fault))

    def _failed(self, one: Wanted, why: str) -> None:
        self._turn.fail(f"{one.partition}/{one.filename}", why)

    async def _register(self, files: Sequence[Fetched]) -> None:
        turn = self._turn
        if not files:
            return

        async def work(unit: Unit, channel: Channel) -> tuple[set[int], set[int]]:
            found = await activate(unit, channel, files, turn.services.settings.sweep_grace_seconds)
            if found[0]:
                await turn.job.got_further(unit)
            return found

        last = files[-1].wanted
        turn.progress.last_ckey = f"{last.partition}/{last.filename}"
        taken, refused = await turn.write(work, len(files))
        turn.counts.downloaded += len(taken)
        turn.counts.active += len(taken)
        turn.counts.passive = max(0, turn.counts.passive - len(taken))
        for one in files:
            if one.wanted.id in refused:
                self._failed(one.wanted, "It was published here with other bytes before.")


async def activate(unit: Unit, channel: Channel, files: Sequence[Fetched], grace: int) -> tuple[set[int], set[int]]:
    """Make passive entries active; return the ids that are now, and those whose coordinate is bound to other bytes.

    What is said of a package (its summary) comes from the bytes, so its name is published anew.
    Raises PackhouseError("try_later") when the sweep, which spares bytes for `grace` seconds, may have been there.
    """
    taken, refused = await holdings.set_contents(unit, channel.id, channel.path, files)
    names = {(one.wanted.partition, one.wanted.name) for one in files if one.wanted.id in taken}
    for family in sorted({one.facts.coordinate.family for one in files}):
        records = [one.wanted.record_id for one in files if one.facts.coordinate.family == family]
        await judge_arrivals(unit, channel, family, records, known=True)
    await entries.mark_dirty(unit, channel.id, sorted(names))
    await changes.note(unit, "entry", channel.id)
    contents.refuse_late(min(one.since for one in files), grace)
    return taken, refused


def _worst(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one of the faults: what ends a run before what is wrong with it."""
    flat: list[BaseException] = []
    for fault in faults.exceptions:
        flat.append(_worst(fault) if isinstance(fault, BaseExceptionGroup) else fault)
    return min(flat, key=lambda fault: isinstance(fault, PackhouseError))
