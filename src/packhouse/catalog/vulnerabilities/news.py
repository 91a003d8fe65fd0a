"""Queries of news: what was newly found, until it is in the digests of all channels concerned.

News are taken in rounds, each up to one row: a round that was broken off goes on with the same rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from packhouse.catalog.judgement_tables import unjudged, vulnerability
from packhouse.catalog.notifications.tables import news, news_round
from packhouse.catalog.schema import entry, record
from packhouse.catalog.vulnerabilities import feeds
from packhouse.core.db import Database, Row, Unit, any_of
from packhouse.core.db.base import Reader

#: rows removed by one unit
BATCH = 2000


class Waiting(NamedTuple):
    """The news nobody was told yet. Times are microseconds."""

    upto: int  #: the number of the last row that was there before a moment
    oldest_at: int
    newest_at: int
    settled: bool  #: nothing waits for judgement, and no feed's run is still being worked off


class Subject(NamedTuple):
    """What news say of a vulnerability."""

    id: int
    key: str
    kind: str  #: vulnerability | malware
    score: int | None  #: tenths
    exploited: bool
    summary: str


class Round(NamedTuple):
    """The news that are being made into digests."""

    upto: int
    digested: bool


_ADD = """INSERT INTO news (family, name, version, vulnerability_id, at)
 VALUES (:family, :name, :version, :vulnerability_id, :at)"""
_LAST_BEFORE = select(news.c.id).where(news.c.at <= bindparam("before")).order_by(news.c.id.desc()).limit(1)
_OLDEST = select(news.c.at).order_by(news.c.id).limit(1)
_NEWEST = select(news.c.at).order_by(news.c.id.desc()).limit(1)
_UNJUDGED = select(unjudged.c.id).limit(1)
_ROUND = select(news_round.c.upto, news_round.c.digested)
_BEGIN = insert(news_round).values(upto=bindparam("new_upto"), digested=False)
_DIGESTED = update(news_round).where(news_round.c.upto == bindparam("old_upto")).values(digested=True)
_END = delete(news_round).where(news_round.c.upto == bindparam("old_upto"))
_UPTO = (
    select(news.c.family, news.c.name, news.c.version, news.c.vulnerability_id)
    .where(news.c.id <= bindparam("upto"))
    .order_by(news.c.family, news.c.name)
)
_IN_CHANNELS = (
    select(entry.c.channel_id, record.c.name, record.c.version, func.count())
    .join_from(record, entry, entry.c.record_id == record.c.id)
    .where(any_of(record.c.name, "names"), entry.c.family == bindparam("family"))
    .group_by(entry.c.channel_id, record.c.name, record.c.version)
)
_SUBJECTS = select(*(vulnerability.c[name] for name in Subject._fields)).where(
    any_of(vulnerability.c.id, "ids"), vulnerability.c.withdrawn_at.is_(None)
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


async def waiting(reader: Reader, before: int) -> Waiting | None:
    """Return what is known of the news nobody was told yet; None when there are none from before a moment.

    That moment lies a few seconds back: a unit under way may still add a row with a lower number than one that is seen.
    """
    upto = await reader.fetch_value(_LAST_BEFORE, before=before)
    if upto is None:
        return None
    oldest, newest = await reader.fetch_value(_OLDEST), await reader.fetch_value(_NEWEST)
    busy = await reader.fetch_one(_UNJUDGED) or await feeds.unsettled(reader)
    return Waiting(upto, oldest or before, newest or before, not busy)


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


async def in_channels(db: Database, family: str, names: Collection[str]) -> list[Row]:
    """Return (channel, name, version, number of files) for every channel that has files of these packages."""
    return await db.fetch_large(_IN_CHANNELS, family=family, names=list(names))


async def subjects(reader: Reader, ids: Collection[int]) -> dict[int, Subject]:
    """Return vulnerabilities by number; one that is gone or was withdrawn is missing."""
    rows = await reader.fetch_all(_SUBJECTS, ids=list(ids)) if ids else []
    return {row[0]: Subject(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows}


async def digested(unit: Unit, upto: int) -> None:
    """Say that every channel has its digest of the round."""
    await unit.execute(_DIGESTED, old_upto=upto)


async def clear_some(unit: Unit, upto: int) -> bool:
    """Remove some news of a round that is digested, and with the last of them the round; True while there are more."""
    if await unit.execute(_DROP, upto=upto):
        return True
    await unit.execute(_END, old_upto=upto)
    return False
