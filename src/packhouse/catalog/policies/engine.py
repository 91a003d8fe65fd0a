"""Queries of the engine that files were judged by last, and of all the names there are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, select, union, update

from packhouse.catalog.judgement_tables import engine
from packhouse.catalog.schema import downloaded, entry, record
from packhouse.core.db import Database, Unit, any_of
from packhouse.core.db.base import Reader


class Judging(NamedTuple):
    """By which engine files were judged, and how far another one is that takes over."""

    number: int  #: 0: nobody knows
    following: int | None
    reached: str  #: names up to this one wait to be judged by the following


_NOW = select(*(engine.c[name] for name in Judging._fields))
_SET = update(engine).values({name: bindparam(name) for name in Judging._fields})


def _some(column: Any) -> Select[Any]:
    """Of a table in the order of an index, so that it is not looked through for a few names."""
    above = select(column).distinct().where(column > bindparam("after")).order_by(column).limit(bindparam("limit"))
    return select(above.subquery().c.name)


# The database alone puts them in order and cuts, as its collation may be another one than that of code points.
_NAMES = union(_some(record.c.name), _some(downloaded.c.name)).order_by("name").limit(bindparam("limit"))
# With those that somebody downloaded and no channel has any more: who has them must be found when an advisory comes.
_PACKAGES = union(
    select(entry.c.family, record.c.name)
    .join_from(record, entry, entry.c.record_id == record.c.id)
    .where(any_of(record.c.name, "names")),
    select(downloaded.c.family, downloaded.c.name).where(any_of(downloaded.c.name, "names")),
)


async def judging(reader: Reader) -> Judging:
    """Return by which engine files were judged."""
    row = await reader.fetch_one(_NOW)
    return Judging(*row) if row else Judging(0, None, "")


async def set_judging(unit: Unit, now: Judging) -> None:
    """Write it down."""
    await unit.execute(_SET, **now._asdict())


async def names_after(db: Database, after: str, limit: int) -> list[str]:
    """Return the next names of packages above one, of any family, that anybody has or had, at most so many.

    They are in the order of the database, in which the last one is what to go on after.
    """
    return [row[0] for row in await db.fetch_large(_NAMES, after=after, limit=limit)]


async def packages(db: Database, names: Collection[str]) -> list[tuple[str, str]]:
    """Return (family, name) of all packages with these names."""
    return [(row[0], row[1]) for row in await db.fetch_large(_PACKAGES, names=list(names))]
