"""Queries of `unjudged`: names, and channels, of which something changed that verdicts depend on.

Whoever changes it leaves the name here in the same unit; whoever judges it takes away the rows he had read before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select

from packhouse.catalog import changes
from packhouse.catalog.judgement_tables import unjudged
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader

#: before an ecosystem that stands in the place of a family: the name is one of advisories
ECOSYSTEM = "@"
#: before a family: the name is the number of a channel, whose closures are to be worked out
WHOLE = "#"
#: before a family: what may be seen of the package has changed in channels whose index was not told
UNTOLD = "!"
#: before a family: files told what the package is called elsewhere; the name follows on how many these were
NAMED = "="


class Waiting(NamedTuple):
    """A name that waits for judgement."""

    id: int
    family: str  #: or `@` and an ecosystem, or `#`, `!` or `=` and a family
    name: str


_ADD = insert(unjudged).values(family=bindparam("family"), name=bindparam("name"))
_WAITING = (
    select(*(unjudged.c[name] for name in Waiting._fields))
    .where(unjudged.c.id > bindparam("after"), unjudged.c.id <= bindparam("upto"))
    .order_by(unjudged.c.id)
    .limit(bindparam("limit"))
)
_LATER = select(*(unjudged.c[name] for name in Waiting._fields)).where(
    any_of(unjudged.c.family, "families"),
    any_of(unjudged.c.name, "names"),
    unjudged.c.id > bindparam("after"),
    unjudged.c.id <= bindparam("upto"),
)
_LAST = select(func.max(unjudged.c.id))
_OF_FAMILIES = select(unjudged.c.family, unjudged.c.name).where(any_of(unjudged.c.family, "families"))
_WAITS = (
    select(unjudged.c.id)
    .where(unjudged.c.family == bindparam("of_family"), unjudged.c.name == bindparam("of_name"))
    .limit(1)
)
_AMONG = select(unjudged.c.name).where(unjudged.c.family == bindparam("of_family"), any_of(unjudged.c.name, "names"))
_BESIDE = select(unjudged.c.id).where(~any_of(unjudged.c.family, "families")).limit(1)
_DONE = delete(unjudged).where(any_of(unjudged.c.id, "ids"))


async def add(unit: Unit, names: Iterable[tuple[str, str]]) -> None:
    """Let (family, name) be judged again, soon after this unit."""
    rows = [{"family": family, "name": name} for family, name in sorted(set(names))]
    if rows:
        await unit.execute_many(_ADD, rows)
        await changes.note(unit, "judgement")


async def last(reader: Reader) -> int:
    """Return the number of the name that came last."""
    return int(await reader.fetch_value(_LAST) or 0)


async def waiting(reader: Reader, after: int, upto: int, limit: int) -> list[Waiting]:
    """Return the names that wait longest, of those above a number and up to another one."""
    return [Waiting(*row) for row in await reader.fetch_all(_WAITING, after=after, upto=upto, limit=limit)]


async def later(reader: Reader, some: Sequence[Waiting], after: int, upto: int) -> list[Waiting]:
    """Return the rows above a number, and up to another one, in which names that wait are there once more."""
    names = {one[1:] for one in some}
    asked = {"families": sorted({one.family for one in some}), "names": sorted({one.name for one in some})}
    rows = [Waiting(*row) for row in await reader.fetch_all(_LATER, after=after, upto=upto, **asked)]
    return [row for row in rows if row[1:] in names]


async def among(reader: Reader, family: str, names: Collection[str]) -> set[str]:
    """Return those of the packages that wait by their own names."""
    return {row[0] for row in await reader.fetch_all(_AMONG, of_family=family, names=list(names))}


async def any_beside(reader: Reader, families: Collection[str]) -> bool:
    """Say whether anything waits but packages of these families by their own names."""
    return await reader.fetch_one(_BESIDE, families=list(families)) is not None


async def waits(reader: Reader, family: str, name: str) -> bool:
    """Say whether a name waits."""
    return await reader.fetch_one(_WAITS, of_family=family, of_name=name) is not None


async def named(reader: Reader, families: Iterable[str]) -> set[tuple[str, str]]:
    """Return (family, name) of what waits as `NAMED`. Whoever takes files away lets these be judged, as nobody can
    tell later whether other ones were there than those that told.
    """
    rows = await reader.fetch_all(_OF_FAMILIES, families=[NAMED + family for family in families])
    return {(family[len(NAMED) :], name.partition(" ")[2]) for family, name in rows}


async def done(unit: Unit, ids: Sequence[int]) -> None:
    """Take away rows that were answered."""
    await unit.execute(_DONE, ids=list(ids))
