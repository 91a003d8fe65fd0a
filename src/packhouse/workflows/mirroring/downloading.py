"""The second half of an active mirror's run: every selected file is downloaded, verified, and registered in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from packhouse.catalog import changes
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import holdings
from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Fetcher
from packhouse.workflows.mirroring.obtaining import obtain, url_of
from packhouse.workflows.mirroring.turn import Turn

#: files looked up at a time, and registered per unit of work at most
PAGE = 1000
REGISTER = 200
#: so many files in a row for which this server was busy or away mean that it is the server
_MOST_BUSY = 100


async def download_all(turn: Turn, fetcher: Fetcher, total: int) -> None:
    """Download the mirror's passive files. A file that fails is counted and reported, and stays passive."""
    after, done = 0, 0
    while page := await holdings.wanted(turn.services.db, turn.mirror.id, turn.channel.id, after, PAGE):
        after = page[-1].id
        turn.step(4, "Downloading", 100 * done // max(total, 1))
        await _page(turn, fetcher, page)
        done += len(page)
    if turn.busy:
        raise PackhouseError(
            "try_later", f"{turn.busy} files are being fetched by somebody else.", "The run goes on shortly."
        )


async def _page(turn: Turn, fetcher: Fetcher, page: Sequence[Wanted]) -> None:
    """Download one page with a fixed number of tasks; whatever ends the run lets none of them go on."""
    queue = list(reversed(page))
    ready: list[Fetched] = []
    turnstile = asyncio.Lock()

    async def work() -> None:
        while queue:
            one = queue.pop()
            await turn.job.checkpoint()
            fetched = await _one(turn, fetcher, one)
            if fetched is None:
                continue
            ready.append(fetched)
            if len(ready) >= REGISTER and not turnstile.locked():
                async with turnstile:
                    await _register(turn, ready)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(turn.services.settings.mirror_concurrency, len(queue))):
                group.create_task(work())
    except* Exception as faults:
        raise _worst(faults) from None
    await _register(turn, ready)


async def _one(turn: Turn, fetcher: Fetcher, one: Wanted) -> Fetched | None:
    try:
        return await obtain(turn.services, fetcher, turn.mirror, one, await url_of(turn.services, turn.mirror, one))
    except PackhouseError as fault:
        if fault.code == "storage_full":
            raise
        if fault.code == "try_later":  # a client asked for this very file, or the sweeper has it in hand
            turn.busy += 1
            if turn.busy > _MOST_BUSY:
                raise
            return None
        turn.fail(f"{one.partition}/{one.filename}", str(fault))
        return None


async def _register(turn: Turn, ready: list[Fetched]) -> None:
    """Register what has been downloaded; the list is emptied first, since others go on filling it."""
    batch = ready[:]
    ready.clear()
    for start in range(0, len(batch), REGISTER):
        part = batch[start : start + REGISTER]

        async def work(unit: Unit, channel: Channel, part: Sequence[Fetched] = part) -> tuple[set[int], set[int]]:
            result = await holdings.set_contents(unit, channel.id, channel.path, part)
            await changes.note(unit, "entry", channel.id)
            return result

        turn.progress.last_ckey = f"{part[-1].wanted.partition}/{part[-1].wanted.filename}"
        taken, refused = await turn.write(work)
        turn.counts.downloaded += len(taken)
        turn.counts.active += len(taken)
        turn.counts.passive = max(0, turn.counts.passive - len(taken))
        for one in part:
            if one.wanted.id in refused:
                turn.fail(
                    f"{one.wanted.partition}/{one.wanted.filename}", "It was published here with other bytes before."
                )


def _worst(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one of the faults: what ends a run before what is wrong with it."""
    flat: list[BaseException] = []
    for fault in faults.exceptions:
        flat.append(_worst(fault) if isinstance(fault, BaseExceptionGroup) else fault)
    return min(flat, key=lambda fault: isinstance(fault, PackhouseError))
