"""Downloads, and whose: kept in memory, spooled each second, folded into the database by the same process.

A write per download would cost more than the download. A chunk is a file named by chance; its name is written in the
transaction that adds its numbers and forgotten only once the file is gone, so that a crash in between neither loses
nor doubles them. Where the rows of single downloads lie in a database of their own (SQLite), both take the chunk so.
`kill -9` loses at most the last second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from packhouse.catalog.downloads import dictionaries
from packhouse.catalog.downloads.items import File, Items, ItemStore
from packhouse.catalog.downloads.store import open_items
from packhouse.catalog.packages import downloads
from packhouse.catalog.packages.downloads import Download, Tally
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.clock import DAY, wall_micros
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import random_bytes
from packhouse.workflows.reporting.identification import tokens_sent

T = TypeVar("T")

SECONDS = 1.0
#: different downloads of one chunk, which is one unit of work, and single ones; months.py has room for 16,384
ROWS, SINGLE_ROWS = 2000, 10_000
#: of what a client calls itself
AGENT_BYTES = 1000

log = get_logger("packhouse.counting")


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Downloads of about a second: what is different in them, once each, and where in these lists each one's is."""

    downloads: list[Download]
    addresses: list[str]
    agents: list[bytes]
    at: list[int]  #: µs, by this machine's clock
    download: list[int]
    address: list[int]
    agent: list[int]

    def tallies(self) -> list[Tally]:
        """Return how often each download happened, first and last."""
        first = dict(zip(reversed(self.download), reversed(self.at), strict=True))
        last = dict(zip(self.download, self.at, strict=True))
        return [
            Tally(self.downloads[one], times, min(first[one], last[one]), max(first[one], last[one]))
            for one, times in Counter(self.download).items()
        ]


EMPTY = Chunk([], [], [], [], [], [], [])


class DownloadCounter:
    """Counts the downloads that one process serves."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db, self._folder = db, folder
        self._items = open_items(db)
        # one list for each column of what was not spooled yet: a download costs four appends
        self._at: list[int] = []
        self._downloads: list[Download] = []
        self._addresses: list[str] = []
        self._agents: list[bytes] = []
        self._gone: list[str] = []  # chunks whose files we removed and whose names are to be forgotten
        folder.mkdir(parents=True, exist_ok=True)

    def count(self, download: Download, address: str = "", agent: bytes = b"") -> None:
        """Note one download, from which address, and what the client called itself (User-Agent)."""
        self._at.append(wall_micros())
        self._downloads.append(download)
        self._addresses.append(address)
        self._agents.append(agent)

    async def run(self) -> None:
        """Spool and fold every second, until cancelled; chunks of processes that died are folded first.

        A database that is slow, or away, keeps nothing in memory longer.
        """
        await asyncio.gather(_each_second(self._spool_now), _each_second(self._fold))

    async def fold(self) -> None:
        """Bring what was counted so far into the database."""
        self._spool()
        await self._fold()

    async def close(self) -> None:
        """Let go of the databases it has opened itself."""
        await self._items.close()

    async def _fold(self) -> None:
        for file in sorted(self._folder.glob("*.chunk")):
            chunk = await self._by_the_clock_of_all(_read(file))
            if chunk.at:
                await self._items.make_room(min(chunk.at) // DAY, max(chunk.at) // DAY)
            gone = [name for name in self._gone if name != file.stem]
            items = await self._db.write(partial(_fold, self._items, file, chunk, gone))
            await self._items.forget_chunks(gone)
            await self._items.add_after(file.stem, items, file.exists)
            file.unlink(missing_ok=True)
            self._gone = [file.stem]

    async def _by_the_clock_of_all(self, chunk: Chunk) -> Chunk:
        """Return a chunk by the database's clock, like all times that are kept; at most the time of a query late.

        Late rather than early, so that whoever asks who downloaded a file since something happened misses nobody.
        """
        here = wall_micros()
        ahead = await self._db.now() - here
        return msgspec.structs.replace(chunk, at=[at + ahead for at in chunk.at])

    async def _spool_now(self) -> None:
        self._spool()

    def _spool(self) -> None:
        while self._at:
            some = self._fitting()
            self._write(_chunk(self._at[:some], self._downloads[:some], self._addresses[:some], self._agents[:some]))
            for column in (self._at, self._downloads, self._addresses, self._agents):
                del column[:some]

    def _fitting(self) -> int:
        """Return how many of the downloads fit into a chunk."""
        most = min(len(self._at), SINGLE_ROWS)
        if len(set(self._downloads[:most])) <= ROWS:
            return most
        different: set[Download] = set()
        for number, download in enumerate(self._downloads):
            different.add(download)
            if len(different) > ROWS:
                return number
        return most

    def _write(self, chunk: Chunk) -> None:
        growing = self._folder / f"{random_bytes(12).hex()}.partial"
        try:
            growing.write_bytes(msgspec.msgpack.encode(chunk))
            growing.rename(growing.with_suffix(".chunk"))
        except OSError:
            growing.unlink(missing_ok=True)
            raise


async def _each_second(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except (PackhouseError, OSError) as error:  # the counts wait on disk, or in memory when that is full
            log.warning("downloads are not counted for now", error=str(error))
        except Exception:  # a fault of ours must not end the counting until the process is started again
            log.exception("downloads are not counted for now")
        await asyncio.sleep(SECONDS)


def _chunk(at: list[int], who: list[Download], addresses: list[str], agents: list[bytes]) -> Chunk:
    downloads, which = _coded(who)
    places, where = _coded(addresses)
    clients, by = _coded([agent[:AGENT_BYTES] for agent in agents])
    return Chunk(downloads, places, clients, at, which, where, by)


def _coded(values: list[T]) -> tuple[list[T], list[int]]:
    """Return the different values, and where in that list each value is."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return list(places), [places[value] for value in values]


def _read(file: Path) -> Chunk:
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=Chunk)
    except FileNotFoundError:  # another process of this machine folded it
        return EMPTY
    except msgspec.DecodeError:  # a power cut took its bytes
        log.warning("a chunk of download counts is unreadable and is dropped", chunk=file.name)
        return EMPTY


async def _fold(items: ItemStore, file: Path, chunk: Chunk, gone: list[str], unit: Unit) -> Items:
    """Add a chunk's counts, unless that was done; return its rows, which may have to be written elsewhere still."""
    taken = await downloads.take_chunk(unit, file.stem)
    # the file is asked for after its name is taken: if another process of this machine added the chunk and forgot
    # the name since we read the file, then the file is gone
    there = file.exists()
    if taken and there:
        # an advisory that came after such a file had gone, and before this, found nobody who has it
        await unjudged.add(unit, await downloads.add(unit, chunk.tallies()))
    await downloads.forget_chunks(unit, gone)
    rows = await _rows(unit, chunk if there else EMPTY)
    if taken and there:
        await items.add_within(unit, rows)
    return rows


async def _rows(unit: Unit, chunk: Chunk) -> Items:
    """Return the rows of a chunk; what they name by number is there afterwards."""
    day = unit.now // DAY
    names = [agent.decode("latin-1").replace("\0", "") for agent in chunk.agents]
    await dictionaries.put_agents(unit, {name: tokens_sent(name) for name in names}, day)
    agents = [dictionaries.number_of(name) for name in names]
    files = await downloads.named(unit, {one[:3] for one in chunk.downloads})
    versions = [(one.family, one.name, files[one[:3]][1]) for one in chunk.downloads]
    known = await dictionaries.known_of(unit, set(versions))
    sets = await dictionaries.put_sets(unit, known.values(), day)
    cves = [sets[known.get(version, ())] for version in versions]
    found = [
        File(files[one[:3]][0], one.channel_id, one.account_id, one.token, cve)
        for one, cve in zip(chunk.downloads, cves, strict=True)
    ]
    return Items(found, chunk.addresses, agents, chunk.at, chunk.download, chunk.address, chunk.agent)
