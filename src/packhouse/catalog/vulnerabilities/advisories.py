"""Queries of advisories: what each feed says, by run, and which vulnerabilities and names that is about.

A row is current while `from_run <= feed.run` and `to_run` is none or beyond it. A run prepares rows of the number
that follows `feed.run`, which no reader takes; setting `feed.run` makes them what the feed says, all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, or_, select, update

from packhouse.catalog.judgement_tables import advisory, advisory_key, advisory_name, feed
from packhouse.core.db import Database, Unit, any_of

Name = tuple[str, str]  # ecosystem, name


class HeldRow(NamedTuple):
    """An advisory that is current, or is being prepared, without its text."""

    id: int
    source_id: str
    from_run: int
    to_run: int | None
    digest: bytes


class Staged(NamedTuple):
    """An advisory to be prepared, with what it is about."""

    source_id: str
    digest: bytes
    body: bytes
    names: Collection[Name]
    keys: Collection[str]


class SaidRow(NamedTuple):
    """What a feed says now of a vulnerability."""

    key: str
    feed_id: int
    feed: str
    body: bytes


def current(run: ColumnElement[int]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions of an advisory being what its feed says in a run, neither prepared nor of the past."""
    return advisory.c.from_run <= run, or_(advisory.c.to_run.is_(None), advisory.c.to_run > run)


_OF_FEED = advisory.c.feed_id == bindparam("of_feed")
_HELD = select(*(advisory.c[name] for name in HeldRow._fields)).where(
    _OF_FEED, or_(advisory.c.to_run.is_(None), advisory.c.to_run > bindparam("run"))
)
_BODIES = select(advisory.c.body).where(any_of(advisory.c.id, "ids"))
_INSERT = insert(advisory).values(
    {name: bindparam(name) for name in ("feed_id", "source_id", "from_run", "digest", "body")} | {"to_run": None}
)
_IDS = select(advisory.c.source_id, advisory.c.id).where(
    _OF_FEED, any_of(advisory.c.source_id, "source_ids"), advisory.c.from_run == bindparam("run")
)
_ADD_NAME = insert(advisory_name).values({name: bindparam(name) for name in ("ecosystem", "name", "advisory_id")})
_ADD_KEY = insert(advisory_key).values({name: bindparam(name) for name in ("key", "advisory_id")})
_END = update(advisory).where(any_of(advisory.c.id, "ids")).values(to_run=bindparam("run"))
_KEEP = update(advisory).where(any_of(advisory.c.id, "ids")).values(to_run=None)
_REMOVE = [
    delete(advisory_name).where(any_of(advisory_name.c.advisory_id, "ids")),
    delete(advisory_key).where(any_of(advisory_key.c.advisory_id, "ids")),
    delete(advisory).where(any_of(advisory.c.id, "ids")),
]


def _since(column: Any) -> Any:
    return and_(column > bindparam("settled"), column <= bindparam("run"))


_WITH_KEY = advisory_key.join(advisory, advisory.c.id == advisory_key.c.advisory_id)
_CHANGED = (
    select(advisory_key.c.key)
    .select_from(_WITH_KEY)
    .where(_OF_FEED, or_(_since(advisory.c.from_run), _since(advisory.c.to_run)))
    .distinct()
)
_WITH_FEED = _WITH_KEY.join(feed, feed.c.id == advisory.c.feed_id)
_SAID = (
    select(advisory_key.c.key, feed.c.id, feed.c.name, advisory.c.body)
    .select_from(_WITH_FEED)
    .where(any_of(advisory_key.c.key, "keys"), *current(feed.c.run))
)
_NAMES = (
    select(advisory_name.c.ecosystem, advisory_name.c.name)
    .select_from(_WITH_FEED.join(advisory_name, advisory_name.c.advisory_id == advisory.c.id))
    .where(any_of(advisory_key.c.key, "keys"), advisory.c.from_run <= feed.c.run)
    .distinct()
)
_PAST = select(advisory.c.id).where(_OF_FEED, advisory.c.to_run <= bindparam("run")).order_by(advisory.c.id)


async def held(db: Database, feed_id: int, run: int) -> list[HeldRow]:
    """Return the rows that are current in `run`, and those prepared for the next one."""
    rows = await db.fetch_large(_HELD, of_feed=feed_id, run=run)
    return [HeldRow(row[0], row[1], row[2], row[3], bytes(row[4])) for row in rows]


async def bodies(db: Database, ids: Sequence[int]) -> list[bytes]:
    """Return the encoded advisories of rows, in no order."""
    return [bytes(row[0]) for row in await db.fetch_all(_BODIES, ids=list(ids))]


async def stage(unit: Unit, feed_id: int, run: int, rows: Sequence[Staged]) -> None:
    """Add advisories that are current from `run` on."""
    await unit.execute_many(
        _INSERT,
        [
            {"feed_id": feed_id, "source_id": one.source_id, "from_run": run, "digest": one.digest, "body": one.body}
            for one in rows
        ],
    )
    found = await unit.fetch_all(_IDS, of_feed=feed_id, run=run, source_ids=[one.source_id for one in rows])
    ids: dict[str, int] = {row[0]: row[1] for row in found}
    names = [(ids[one.source_id], name) for one in rows for name in sorted(set(one.names))]
    await unit.execute_many(_ADD_NAME, [{"ecosystem": e, "name": n, "advisory_id": number} for number, (e, n) in names])
    keys = [(ids[one.source_id], key) for one in rows for key in sorted(set(one.keys))]
    await unit.execute_many(_ADD_KEY, [{"key": key, "advisory_id": number} for number, key in keys])


async def end(unit: Unit, ids: Sequence[int], run: int) -> None:
    """Let rows be current no more from `run` on."""
    await unit.execute(_END, ids=list(ids), run=run)


async def keep(unit: Unit, ids: Sequence[int]) -> None:
    """Let rows be current until further notice."""
    await unit.execute(_KEEP, ids=list(ids))


async def remove(unit: Unit, ids: Sequence[int]) -> None:
    """Remove rows."""
    for statement in _REMOVE:
        await unit.execute(statement, ids=list(ids))


async def changed_keys(db: Database, feed_id: int, settled: int, run: int) -> list[str]:
    """Return, sorted, the vulnerabilities of which a feed says something else in `run` than in the run `settled`."""
    rows = await db.fetch_large(_CHANGED, of_feed=feed_id, settled=settled, run=run)
    return sorted(row[0] for row in rows)  # here and not by the database, whose collation may be another one


async def said(unit: Unit, keys: Sequence[str]) -> list[SaidRow]:
    """Return what all feeds say now of vulnerabilities."""
    rows = await unit.fetch_all(_SAID, keys=list(keys))
    return [SaidRow(row[0], row[1], row[2], bytes(row[3])) for row in rows]


async def names(unit: Unit, keys: Sequence[str]) -> list[Name]:
    """Return the names in ecosystems that advisories about vulnerabilities are about, or were until just now."""
    return [(row[0], row[1]) for row in await unit.fetch_all(_NAMES, keys=list(keys))]


async def past(db: Database, feed_id: int, run: int) -> list[int]:
    """Return the rows of a feed that are not current in `run` any more."""
    return [row[0] for row in await db.fetch_large(_PAST, of_feed=feed_id, run=run)]
