"""Single downloads in PostgreSQL: the table `download_item` with a partition for each day (UTC).

Partitions are made beside the table and then attached, and reports read them one by one by their names: whoever reads a
year keeps nobody from writing, and old days can be dropped meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from datetime import date
from functools import partial
from typing import Any

from packhouse.catalog.downloads.items import File, Item, Items, ItemStore, Wanted, day_of, number_of
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit

_PREFIX = "download_item_"
#: an arbitrary number: the advisory lock that lets one process at a time make and drop partitions
LOCK = 7_225_102_032
_TAKE_TURN = f"SELECT pg_advisory_xact_lock({LOCK})"
#: whoever reads a partition that is to be dropped is not waited for longer: the next round tries again
_NO_LONG_WAIT = "SET LOCAL lock_timeout = '2s'"
_KNOWN = """SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
 WHERE inhparent = 'download_item'::regclass"""
# Arrays as texts: the driver would turn each value into text by itself, at ten times the cost.
_ADD = """INSERT INTO download_item (day, at, file_id, channel_id, account_id, token, address, agent_id, cve_set_id)
 SELECT at / 86400000000, at, file_id, channel_id, account_id, token, address, agent_id, cve_set_id
 FROM unnest(CAST(CAST(:at AS text) AS bigint[]), CAST(CAST(:file AS text) AS integer[]),
 CAST(CAST(:place AS text) AS integer[]), CAST(CAST(:agent AS text) AS integer[])) AS given (at, file, place, agent)
 JOIN unnest(CAST(CAST(:file_id AS text) AS bigint[]), CAST(CAST(:channel_id AS text) AS bigint[]),
 CAST(CAST(:account_id AS text) AS bigint[]), CAST(CAST(:token AS text) AS uuid[]),
 CAST(CAST(:cve_set_id AS text) AS bigint[])) WITH ORDINALITY
 AS f (file_id, channel_id, account_id, token, cve_set_id, number) ON f.number = file + 1
 JOIN unnest(CAST(CAST(:addresses AS text) AS text[])) WITH ORDINALITY AS d (address, number) ON d.number = place + 1
 JOIN unnest(CAST(CAST(:agent_ids AS text) AS bigint[])) WITH ORDINALITY AS a (agent_id, number)
 ON a.number = agent + 1"""
_GIVEN = ("at", "file", "place", "agent", *File._fields, "addresses", "agent_ids")
_READ = """SELECT at, file_id, channel_id, account_id, CAST(token AS text), address, agent_id, cve_set_id
 FROM {name} WHERE at >= :since AND at < :before{accounts}{channels} ORDER BY at"""


class Partitions(ItemStore):
    """The table of one installation."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def make_room(self, first_day: int, last_day: int) -> None:
        days = set(range(first_day, last_day + 1)) - (await self._known()).keys()
        if days:
            await self._db.write(partial(_make, days))

    async def add_within(self, unit: Unit, items: Items) -> None:
        if items.at:
            files = dict(zip(File._fields, zip(*items.files, strict=True), strict=True))
            columns: dict[str, Sequence[Any]] = {**items._asdict(), **files, "place": items.address}
            await unit.execute(_ADD, **{name: _array(columns[name]) for name in _GIVEN})

    async def add_after(self, chunk: str, items: Items, there: Callable[[], bool]) -> None:
        pass  # they were part of the transaction

    async def forget_chunks(self, names: Collection[str]) -> None:
        pass  # the catalogue knows them

    async def read(self, wanted: Wanted) -> AsyncIterator[list[Item]]:
        known = await self._known()
        values: dict[str, Any] = {"since": wanted.since, "before": wanted.before}
        if wanted.accounts is not None:
            values["accounts"] = list(wanted.accounts)
        if wanted.channels is not None:
            values["channels"] = list(wanted.channels)
        for day in sorted(known):
            if wanted.since // DAY <= day <= (wanted.before - 1) // DAY:
                statement = _READ.format(
                    name=known[day],
                    accounts=" AND account_id = ANY(:accounts)" if "accounts" in values else "",
                    channels=" AND channel_id = ANY(:channels)" if "channels" in values else "",
                )
                async with aclosing(self._db.stream(statement, **values)) as found:  # type: ignore[type-var]  # generator
                    async for batch in found:
                        yield [Item(*row) for row in batch]

    def first_kept(self, day: int) -> int:
        return day

    async def drop_before(self, day: int) -> list[str]:
        old = {one: name for one, name in (await self._known()).items() if one < day}
        for one in sorted(old):
            await self._db.write(partial(_drop, old[one]))
        return [day_of(one).isoformat() for one in sorted(old)]

    async def faults(self, *, deep: bool) -> AsyncIterator[tuple[str, str]]:
        for day, name in sorted((await self._known()).items()) if deep else ():
            if await self._db.fetch_value(f"SELECT 1 FROM {name} WHERE at / {DAY} <> {day} LIMIT 1"):  # noqa: S608  # ours
                yield name, "it has downloads of another day"

    async def close(self) -> None:
        pass

    async def _known(self) -> dict[int, str]:
        """Return day → name of the partitions that there are."""
        rows = await self._db.fetch_all(_KNOWN)
        return {number_of(date.fromisoformat(name.removeprefix(_PREFIX).replace("_", "-"))): name for (name,) in rows}


async def _make(days: Collection[int], unit: Unit) -> None:
    await unit.fetch_all(_TAKE_TURN)
    there = {row[0] for row in await unit.fetch_all(_KNOWN)}
    for day in sorted(days):
        name = f"{_PREFIX}{day_of(day):%Y_%m_%d}"
        if name not in there:
            await unit.execute(f"CREATE TABLE {name} (LIKE download_item INCLUDING ALL)")
            await unit.execute(
                f"ALTER TABLE download_item ATTACH PARTITION {name} FOR VALUES FROM ({day}) TO ({day + 1})"
            )


async def _drop(name: str, unit: Unit) -> None:
    await unit.fetch_all(_TAKE_TURN)
    await unit.execute(_NO_LONG_WAIT)
    await unit.execute(f"DROP TABLE IF EXISTS {name}")


def _array(values: Collection[Any]) -> str:
    """Return PostgreSQL's text of an array of numbers, of texts, or of nothing."""
    return "{" + ",".join([_quoted(value) if isinstance(value, str) else _number(value) for value in values]) + "}"


def _number(value: int | None) -> str:
    return "NULL" if value is None else str(value)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
