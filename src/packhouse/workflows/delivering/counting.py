"""Download counts: summed in memory, spooled each second, folded into the database by the same process.

Counting inside the request would cost a write per download. A chunk is a file named by chance; its name is written
in the transaction that adds its numbers and forgotten only once the file is gone, so that a crash in between neither
loses nor doubles them. `kill -9` loses at most the last second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import msgspec

from packhouse.catalog.packages import downloads
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_bytes

SECONDS = 1.0

log = get_logger("packhouse.counting")

#: (entry id, channel id, package name)
Key = tuple[int, int, str]


class DownloadCounter:
    """Counts the downloads that one process serves."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db, self._folder = db, folder
        self._counts: Counter[Key] = Counter()
        self._gone: list[str] = []  # chunks whose files we removed and whose names are to be forgotten
        folder.mkdir(parents=True, exist_ok=True)

    def count(self, entry_id: int, channel_id: int, name: str) -> None:
        """Note one download."""
        self._counts[entry_id, channel_id, name] += 1

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
            rows = [(key[0], key[1], key[2], count) for key, count in _read(chunk)]
            gone = list(self._gone)
            await self._db.write(partial(_fold, chunk, rows, gone))
            chunk.unlink(missing_ok=True)
            self._gone = [chunk.stem]

    def _spool(self) -> None:
        if not self._counts:
            return
        growing = self._folder / f"{random_bytes(12).hex()}.partial"
        try:
            growing.write_bytes(msgspec.json.encode(list(self._counts.items())))
            growing.rename(growing.with_suffix(".chunk"))
        except OSError:
            growing.unlink(missing_ok=True)
            raise
        self._counts.clear()


def _read(chunk: Path) -> list[tuple[Key, int]]:
    try:
        return msgspec.json.decode(chunk.read_bytes(), type=list[tuple[Key, int]])
    except FileNotFoundError:  # another process of this machine folded it
        return []
    except msgspec.DecodeError:  # a power cut took its bytes
        log.warning("a chunk of download counts is unreadable and is dropped", chunk=chunk.name)
        return []


async def _fold(chunk: Path, rows: list[tuple[int, int, str, int]], gone: list[str], unit: Unit) -> None:
    # the file is asked for after its name is taken: if another process of this machine added the chunk and forgot
    # the name since we read the file, then the file is gone
    if await downloads.take_chunk(unit, chunk.stem) and chunk.exists():
        await downloads.add(unit, rows)
    await downloads.forget_chunks(unit, gone)
