"""Single downloads beside an embedded catalogue: a SQLite file for each month (UTC), `2026-11.db`.

A chunk of downloads is taken twice: by the catalogue with its counts, then here with its rows. Whoever is killed in
between finds the chunk's file again and does what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import date
from functools import partial
from itertools import compress
from pathlib import Path

import msgspec

from packhouse.catalog.downloads.items import Item, Items, ItemStore, Wanted, day_of, number_of
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit, folder_beside, open_beside, remove_beside
from packhouse.core.errors import PackhouseError

#: the folder beside `packhouse.db` is `packhouse-downloads`
DOWNLOADS = "downloads"
#: rows read at a time, away from the event loop
PAGE = 2000
#: files that a process keeps open to write to: around the turn of a month there are two
OPEN = 2

_TABLES = (
    """CREATE TABLE IF NOT EXISTS item (at INTEGER NOT NULL, number INTEGER NOT NULL, file_id INTEGER NOT NULL,
 channel_id INTEGER NOT NULL, account_id INTEGER NOT NULL, token TEXT, address TEXT NOT NULL,
 agent_id INTEGER NOT NULL, cve_set_id INTEGER, PRIMARY KEY (at, number)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS chunk (name TEXT PRIMARY KEY) WITHOUT ROWID",
)
_BEGUN = "SELECT 1 FROM sqlite_master WHERE name = 'item'"
_TAKE = "INSERT INTO chunk (name) VALUES (:name) ON CONFLICT (name) DO NOTHING"
_FORGET = "DELETE FROM chunk WHERE name = :name"
_ADD = """WITH file AS MATERIALIZED (SELECT key, json_extract(value, '$[0]') AS file_id,
 json_extract(value, '$[1]') AS channel_id, json_extract(value, '$[2]') AS account_id,
 json_extract(value, '$[3]') AS token, json_extract(value, '$[4]') AS cve_set_id FROM json_each(:files)),
 address AS MATERIALIZED (SELECT key, value FROM json_each(:addresses)),
 agent AS MATERIALIZED (SELECT key, value FROM json_each(:agent_ids))
 INSERT INTO item (at, number, file_id, channel_id, account_id, token, address, agent_id, cve_set_id)
 SELECT json_extract(given.value, '$[0]'), :begin + given.key, file_id, channel_id, account_id, token, address.value,
 agent.value, cve_set_id FROM json_each(:given) AS given
 CROSS JOIN file ON file.key = json_extract(given.value, '$[1]')
 CROSS JOIN address ON address.key = json_extract(given.value, '$[2]')
 CROSS JOIN agent ON agent.key = json_extract(given.value, '$[3]')"""
_READ = """SELECT at, file_id, channel_id, account_id, token, address, agent_id, cve_set_id, number FROM item
 WHERE (at, number) > (:at, :number) AND at < :before{accounts}{channels} ORDER BY at, number LIMIT :limit"""
_OF_ACCOUNTS = " AND account_id IN (SELECT value FROM json_each(:accounts))"
_OF_CHANNELS = " AND channel_id IN (SELECT value FROM json_each(:channels))"
_ENDS = "SELECT (SELECT min(at) FROM item), (SELECT max(at) FROM item)"  # each by itself is one look at the key
_CHECK = "SELECT integrity_check FROM pragma_integrity_check(1)"


class Months(ItemStore):
    """The files of one installation, as one process uses them."""

    def __init__(self, url: str) -> None:
        self._folder = folder_beside(url, DOWNLOADS)
        self._open: dict[str, Database] = {}

    async def make_room(self, first_day: int, last_day: int) -> None:
        pass  # a file is made when something is written to it

    async def add_within(self, unit: Unit, items: Items) -> None:
        pass  # another database

    async def add_after(self, chunk: str, items: Items, there: Callable[[], bool]) -> None:
        months = [_month(day_of(at // DAY)) for at in (min(items.at), max(items.at))] if items.at else []
        if len(set(months)) == 1:
            await self._add(months[0], chunk, items, there)
            return
        of = [_month(day_of(at // DAY)) for at in items.at]
        for month in sorted(set(of)):
            mine = [one == month for one in of]
            at, file, address, agent = (list(compress(column, mine)) for column in items[3:])
            await self._add(month, chunk, items._replace(at=at, file=file, address=address, agent=agent), there)

    async def _add(self, month: str, chunk: str, items: Items, there: Callable[[], bool]) -> None:
        db = await self._database(month)
        await db.write(partial(_add, chunk, items, there))

    async def forget_chunks(self, names: Collection[str]) -> None:
        for db in self._open.values() if names else ():
            await db.write(partial(_forget, names))

    async def read(self, wanted: Wanted) -> AsyncIterator[list[Item]]:
        first, last = (_month(day_of(at // DAY)) for at in (wanted.since, wanted.before - 1))
        for file in _files(self._folder):
            if first <= file.stem <= last:
                db = open_beside(file)
                try:
                    if await _begun(db):
                        async for batch in _read(db, wanted):
                            yield batch
                finally:
                    await db.close()

    def first_kept(self, day: int) -> int:
        return number_of(day_of(day).replace(day=1))

    async def drop_before(self, day: int) -> list[str]:
        old = [file for file in _files(self._folder) if file.stem < _month(day_of(day))]
        for file in old:
            if (db := self._open.pop(file.stem, None)) is not None:
                await db.close()
            await asyncio.to_thread(remove_beside, file)
        return [file.stem for file in old]

    async def faults(self, *, deep: bool) -> AsyncIterator[tuple[str, str]]:
        for file in _files(self._folder):
            if sentence := await _fault(file, deep):
                yield file.name, sentence

    async def close(self) -> None:
        while self._open:
            await self._open.popitem()[1].close()

    async def _database(self, month: str) -> Database:
        if (db := self._open.get(month)) is None:
            if len(self._open) >= OPEN:
                await self._open.pop(min(self._open)).close()
            db = open_beside(self._folder / f"{month}.db")
            await db.write(_create)
            self._open[month] = db
        return db


def month_files(url: str) -> list[Path]:
    """Return the files of an installation whose catalogue is at `sqlite:///FILE`, the oldest first."""
    return _files(folder_beside(url, DOWNLOADS))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].db"))


async def _create(unit: Unit) -> None:
    for statement in _TABLES:
        await unit.execute(statement)


async def _begun(db: Database) -> bool:
    """Tell whether a file has its tables: another process may just make it, or was killed when it did."""
    return bool(await db.fetch_large(_BEGUN))


async def _add(chunk: str, items: Items, there: Callable[[], bool], unit: Unit) -> None:
    # as in the catalogue, the file is asked for after the name is taken
    if not await unit.execute(_TAKE, name=chunk) or not there():
        return
    texts = {name: _json(getattr(items, name)) for name in ("files", "addresses", "agent_ids")}
    given = _json(list(zip(items.at, items.file, items.address, items.agent, strict=True)))
    # no other chunk begins with the same number, and one has fewer rows than come before the next
    begin = int(chunk[:10] or "0", 16) << 14
    await unit.execute(_ADD, begin=begin, given=given, **texts)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _forget(names: Collection[str], unit: Unit) -> None:
    await unit.execute_many(_FORGET, [{"name": name} for name in names])


async def _read(db: Database, wanted: Wanted) -> AsyncIterator[list[Item]]:
    statement = _READ.format(
        accounts="" if wanted.accounts is None else _OF_ACCOUNTS,
        channels="" if wanted.channels is None else _OF_CHANNELS,
    )
    chosen = {"accounts": list(wanted.accounts or ()), "channels": list(wanted.channels or ())}
    after = {"at": wanted.since - 1, "number": 2**62}
    while True:
        rows = await db.fetch_large(statement, before=wanted.before, limit=PAGE, **after, **chosen)
        if rows:
            yield [Item._make(row[:-1]) for row in rows]
        if len(rows) < PAGE:
            return
        after = {"at": rows[-1][0], "number": rows[-1][-1]}


async def _fault(file: Path, deep: bool) -> str | None:
    db = open_beside(file)
    try:
        if not await _begun(db):
            return None
        [(first, last)] = await db.fetch_large(_ENDS)
        if first is not None and {_month(day_of(at // DAY)) for at in (first, last)} != {file.stem}:
            return "it has downloads of another month"
        if deep and (said := (await db.fetch_large(_CHECK))[0][0]) != "ok":
            return f"it is damaged: {said}"
    except PackhouseError as error:
        return error.message
    except Exception as error:  # what SQLite says of a file that is none of its own
        return f"it cannot be read: {error}"
    finally:
        await db.close()
    return None


def _month(day: date) -> str:
    return f"{day:%Y-%m}"
