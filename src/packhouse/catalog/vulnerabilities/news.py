"""Queries of news: what was newly found, until it is in the digests of all channels concerned.

News are taken in rounds, each up to one row: a round that was broken off goes on with the same rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from packhouse.catalog.judgement_tables import feed, unjudged
from packhouse.catalog.notifications.tables import news, news_round
from packhouse.core.db import Database, Row, Unit
from packhouse.core.db.base import Reader

#: rows removed by one unit
BATCH = 2000


class Waiting(NamedTuple):
    """The news nobody was told yet. Times are microseconds."""

    upto: int  #: the number of the last row
    oldest_at: int
    newest_at: int
    settled: bool  #: nothing waits for judgement, and no feed's run is still being worked off


class Round(NamedTuple):
    """The news that are being made into digests."""

    upto: int
    digested: bool


_ADD = """INSERT INTO news (family, name, version, vulnerability_id, at)
 VALUES (:family, :name, :version, :vulnerability_id, :at)"""
_WAITING = select(func.max(news.c.id), func.min(news.c.at), func.max(news.c.at))
_UNJUDGED = select(unjudged.c.id).limit(1)
_UNSETTLED = select(feed.c.id).where(feed.c.settled_run < feed.c.run).limit(1)
_ROUND = select(news_round.c.upto, news_round.c.digested)
_BEGIN = insert(news_round).values(upto=bindparam("new_upto"), digested=False)
_DIGESTED = update(news_round).where(news_round.c.upto == bindparam("old_upto")).values(digested=True)
_END = delete(news_round).where(news_round.c.upto == bindparam("old_upto"))
_UPTO = (
    select(news.c.family, news.c.name, news.c.version, news.c.vulnerability_id)
    .where(news.c.id <= bindparam("upto"))
    .order_by(news.c.family, news.c.name)
)
_SOME = select(news.c.id).where(news.c.id <= bindparam("upto")).order_by(news.c.id).limit(BATCH)
_DROP = delete(news).where(news.c.id.in_(_SOME))


async def add(unit: Unit, rows: Sequence[tuple[str, str, str, int]]) -> None:
    """Let it be known what was not found before: (family, name, version, number of the vulnerability)."""
    values = [
        {"family": family, "name": name, "version": version, "vulnerability_id": number, "at": unit.now}
        for family, name, version, number in rows
    ]
    if values:
        await unit.execute_many(_ADD, values)


async def waiting(reader: Reader) -> Waiting | None:
    """Return what is known of the news nobody was told yet; None when there are none."""
    row = await reader.fetch_one(_WAITING)
    if row is None or row[0] is None:
        return None
    busy = await reader.fetch_one(_UNJUDGED) or await reader.fetch_one(_UNSETTLED)
    return Waiting(row[0], row[1], row[2], busy is None)


async def current_round(reader: Reader) -> Round | None:
    """Return the round that was begun and has not ended."""
    row = await reader.fetch_one(_ROUND)
    return Round(row[0], bool(row[1])) if row else None


async def begin_round(unit: Unit, upto: int) -> Round:
    """Return the round under way, which is a new one up to a row unless there is one."""
    found = await current_round(unit)
    if found is None:
        await unit.execute(_BEGIN, new_upto=upto)
    return found or Round(upto, False)


def of_round(db: Database, upto: int) -> AsyncIterator[list[Row]]:
    """Stream (family, name, version, vulnerability) up to a row; those of one name follow each other."""
    return db.stream(_UPTO, upto=upto)


async def digested(unit: Unit, upto: int) -> None:
    """Say that every channel has its digest of the round."""
    await unit.execute(_DIGESTED, old_upto=upto)


async def clear_some(unit: Unit, upto: int) -> bool:
    """Remove some news of a round that is digested, and with the last of them the round; True while there are more."""
    if await unit.execute(_DROP, upto=upto):
        return True
    await unit.execute(_END, old_upto=upto)
    return False
