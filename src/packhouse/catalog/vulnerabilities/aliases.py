"""Queries of aliases: which name in an advisory ecosystem a package stands for, as files or administrators say."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from packhouse.catalog.judgement_tables import advisory_name, alias
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class AliasRow(NamedTuple):
    """One link between a package and a name in an advisory ecosystem. `at` is in microseconds."""

    family: str
    name: str
    ecosystem: str
    upstream: str
    provenance: str  #: correction | purl | contents | recipe
    negative: bool  #: a correction that says they are not the same
    by: str  #: who said so, or the file it was read from
    at: int


_COLUMNS = tuple(alias.c[name] for name in AliasRow._fields)
_OF_NAMES = select(*_COLUMNS).where(alias.c.family == bindparam("family"), any_of(alias.c.name, "names"))
_OF_UPSTREAM = select(*_COLUMNS).where(alias.c.ecosystem == bindparam("ecosystem"), any_of(alias.c.upstream, "names"))
_ECOSYSTEM = select(advisory_name.c.ecosystem).where(advisory_name.c.ecosystem == bindparam("ecosystem")).limit(1)
_PUT = """INSERT INTO alias (family, name, ecosystem, upstream, provenance, negative, "by", at)
 VALUES (:family, :name, :ecosystem, :upstream, :provenance, :negative, :by, :at)
 ON CONFLICT (family, name, ecosystem, upstream, provenance) DO NOTHING"""
_DROP = delete(alias).where(
    alias.c.family == bindparam("family"),
    alias.c.name == bindparam("name"),
    alias.c.ecosystem == bindparam("ecosystem"),
    alias.c.upstream == bindparam("upstream"),
    alias.c.provenance == bindparam("provenance"),
)


async def of_names(reader: Reader, family: str, names: Collection[str]) -> list[AliasRow]:
    """Return what is kept of packages of a family."""
    return [_row(row) for row in await reader.fetch_all(_OF_NAMES, family=family, names=list(names))]


async def of_upstream(reader: Reader, ecosystem: str, names: Collection[str]) -> list[AliasRow]:
    """Return what is kept of names in an ecosystem."""
    return [_row(row) for row in await reader.fetch_all(_OF_UPSTREAM, ecosystem=ecosystem, names=list(names))]


async def has_ecosystem(reader: Reader, ecosystem: str) -> bool:
    """Say whether any advisory is about a name of that ecosystem."""
    return await reader.fetch_one(_ECOSYSTEM, ecosystem=ecosystem) is not None


async def put(unit: Unit, rows: Iterable[AliasRow]) -> int:
    """Keep links, those already there as they are; return how many were new."""
    return sum([await unit.execute(_PUT, **one._asdict()) for one in rows])


async def drop(unit: Unit, family: str, name: str, ecosystem: str, upstream: str, provenance: str) -> bool:
    """Forget one link; False when there is none."""
    key = {"family": family, "name": name, "ecosystem": ecosystem, "upstream": upstream, "provenance": provenance}
    return bool(await unit.execute(_DROP, **key))


def _row(row: tuple[object, ...]) -> AliasRow:
    found = AliasRow(*row)  # type: ignore[arg-type]  # as the columns are
    return found._replace(negative=bool(found.negative))
