"""Downloads, and whose: summed in memory, spooled each second, folded into the database by the same process.

Counting inside the request would cost a write per download. A chunk is a file named by chance; its name is written
in the transaction that adds its numbers and forgotten only once the file is gone, so that a crash in between neither
loses nor doubles them. `kill -9` loses at most the last second.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import Download, Tally
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.clock import wall_micros
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_bytes

SECONDS = 1.0
#: rows of one chunk, which is one unit of work
ROWS = 2000

log = get_logger("packhouse.counting")


class DownloadCounter:
    """Counts the downloads that one process serves."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db, self._folder = db, folder
        self._counts: dict[Download, list[int]] = {}  # how often, first and last (µs, this machine's clock)
        self._gone: list[str] = []  # chunks whose files we removed and whose names are to be forgotten
        folder.mkdir(parents=True, exist_ok=True)

    def count(self, download: Download) -> None:
        """Note one download."""
        at = wall_micros()
        if (known := self._counts.get(download)) is None:
            self._counts[download] = [1, at, at]
        else:
            known[0] += 1
            known[2] = at

    async def run(self) -> None:
        """Spool and fold every second, until cancelled; chunks of processes that died are folded first."""
        while True:
            try:
                await self.fold()
            except (PackhouseError, OSError) as error:  # the counts wait on disk, or in memory when that is full
                log.warning("downloads are not counted for now", error=str(error))
            except Exception:  # a fault of ours must not end the counting until the process is started again
                log.exception("downloads are not counted for now")
            await asyncio.sleep(SECONDS)

    async def fold(self) -> None:
        """Bring what was counted so far into the database."""
        self._spool()
        for chunk in sorted(self._folder.glob("*.chunk")):
            rows = await self._by_the_clock_of_all(_read(chunk))
            gone = list(self._gone)
            await self._db.write(partial(_fold, chunk, rows, gone))
            chunk.unlink(missing_ok=True)
            self._gone = [chunk.stem]

    async def _by_the_clock_of_all(self, rows: list[Tally]) -> list[Tally]:
        """Return tallies by the database's clock, like all times that are kept; at most the time of a query late.

        Late rather than early, so that whoever asks who downloaded a file since something happened misses nobody.
        """
        here = wall_micros()
        ahead = await self._db.now() - here
        return [Tally(one.download, one.count, one.first_at + ahead, one.last_at + ahead) for one in rows]

    def _spool(self) -> None:
        while self._counts:
            some = dict(islice(self._counts.items(), ROWS))
            self._write([Tally(one, *numbers) for one, numbers in some.items()])
            for one in some:
                del self._counts[one]

    def _write(self, rows: list[Tally]) -> None:
        growing = self._folder / f"{random_bytes(12).hex()}.partial"
        try:
            growing.write_bytes(msgspec.json.encode(rows))
            growing.rename(growing.with_suffix(".chunk"))
        except OSError:
            growing.unlink(missing_ok=True)
            raise


def _read(chunk: Path) -> list[Tally]:
    try:
        return msgspec.json.decode(chunk.read_bytes(), type=list[Tally])
    except FileNotFoundError:  # another process of this machine folded it
        return []
    except msgspec.DecodeError:  # a power cut took its bytes
        log.warning("a chunk of download counts is unreadable and is dropped", chunk=chunk.name)
        return []


async def _fold(chunk: Path, rows: list[Tally], gone: list[str], unit: Unit) -> None:
    # the file is asked for after its name is taken: if another process of this machine added the chunk and forgot
    # the name since we read the file, then the file is gone
    if await downloads.take_chunk(unit, chunk.stem) and chunk.exists():
        # an advisory that came after such a file had gone, and before this, found nobody who has it
        await unjudged.add(unit, await downloads.add(unit, rows))
    await downloads.forget_chunks(unit, gone)
