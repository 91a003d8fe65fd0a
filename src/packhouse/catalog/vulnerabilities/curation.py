"""Queries around statements: lists of them, what vulnerabilities are called, and when somebody judged one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, select, update

from packhouse.catalog.judgement_tables import advisory, advisory_key, feed, statement, vulnerability
from packhouse.catalog.schema import content, entry, package, record
from packhouse.catalog.vulnerabilities.advisories import current
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.db import Database, Row, Unit, any_of
from packhouse.core.db.base import Reader


class Told(NamedTuple):
    """The bytes of one file of a package in which its builder says something of vulnerabilities."""

    name: str
    sha256: bytes
    at: int  #: when we got them, in microseconds
    facts: str  #: JSON of formats.base.Facts


class FileOf(NamedTuple):
    """One file of a package that some channel has; `sha256` is None where nobody knows it."""

    name: str
    version: str
    build: str
    build_number: int
    sha256: bytes | None
    partition: str


_COLUMNS = tuple(statement.c[name] for name in StatementRow._fields)
#: the filters of lists
_FILTERS: dict[str, ColumnElement[bool]] = {
    "keys": any_of(statement.c.key, "keys"),
    "feeds": statement.c.origin.like("feed:%"),
    "channel_id": exists(
        select(package.c.name).where(
            package.c.channel_id == bindparam("channel_id"),
            package.c.family == statement.c.family,
            package.c.name == statement.c.name,
        )
    ),
    **{
        name: statement.c[name] == bindparam(name)
        for name in ("family", "name", "status", "origin", "sha256", "author", "spec")
    },
}
_BY_IDS = select(*_COLUMNS).where(any_of(statement.c.id, "ids")).order_by(statement.c.id)
_KNOWN = select(vulnerability.c.key).where(any_of(vulnerability.c.key, "names"))
_RUNS = select(feed.c.id, feed.c.run)
# feed by feed, since that is what the index of `advisory` begins with
_CALLED = select(advisory.c.source_id, advisory.c.id).where(
    advisory.c.feed_id == bindparam("feed_id"),
    any_of(advisory.c.source_id, "names"),
    *current(bindparam("run")),
)
_KEYS = select(advisory_key.c.advisory_id, advisory_key.c.key).where(any_of(advisory_key.c.advisory_id, "ids"))
_BODIES = select(vulnerability.c.key, vulnerability.c.body).where(any_of(vulnerability.c.key, "keys"))
_SET_CURATED = (
    update(vulnerability)
    .where(any_of(vulnerability.c.key, "keys"))
    .values(curated_at=select(func.max(statement.c.at)).where(statement.c.key == vulnerability.c.key).scalar_subquery())
)
# The family is no way in: every index that begins with a channel and it leads through the whole channel.
_FAMILY = func.coalesce(entry.c.family, "") == bindparam("family")
_HELD = (
    record.join(entry, and_(entry.c.record_id == record.c.id, _FAMILY))
    .outerjoin(content, content.c.id == entry.c.content_id)
)  # fmt: skip
_TOLD = (
    select(record.c.name, content.c.sha256, content.c.created_at, content.c.facts)
    .select_from(_HELD)
    .where(any_of(record.c.name, "names"), content.c.judged_by_builder.is_(True))
)
_EVERY_FILE = (
    select(
        record.c.name,
        record.c.version,
        record.c.build,
        record.c.build_number,
        func.coalesce(content.c.sha256, record.c.claimed_sha256),
        entry.c.partition,
    )
    .select_from(_HELD)
    .distinct()
)
_FILES = _EVERY_FILE.where(any_of(record.c.name, "names"))
_FILES_HERE = _EVERY_FILE.where(entry.c.channel_id == bindparam("channel_id"), any_of(entry.c.name, "names"))


async def page(db: Database, given: Mapping[str, Any], *, limit: int, offset: int) -> tuple[list[StatementRow], int]:
    """Return a page of statements, oldest first, and how many there are in all.

    `given` holds any of `keys` (a list), `family`, `name`, `status`, `origin`, `sha256`, `author`, `spec`, `channel_id`
    (about packages the channel has) and `feeds` (any value: those of feeds only).
    """
    rows, count = _statements(frozenset(given))
    values = {name: value for name, value in given.items() if name != "feeds"}
    found = await db.fetch_large(rows, **values, limit=limit, offset=offset) if limit else []
    total = offset + len(found)
    if len(found) == limit or (offset and not found):
        total = (await db.fetch_large(count, **values))[0][0]
    return [StatementRow(*row) for row in found], int(total)


@cache
def _statements(names: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    where = [_FILTERS[name] for name in sorted(names)]
    rows = select(*_COLUMNS).where(*where).order_by(statement.c.id)
    count = select(func.count()).select_from(statement).where(*where)
    return rows.limit(bindparam("limit")).offset(bindparam("offset")), count


async def by_ids(reader: Reader, ids: Sequence[int]) -> list[StatementRow]:
    """Return statements by their numbers, oldest first."""
    return [StatementRow(*row) for row in await reader.fetch_all(_BY_IDS, ids=list(ids))]


async def keys_called(reader: Reader, names: Collection[str]) -> dict[str, set[str]]:
    """Return for each name the keys of the vulnerabilities known by it, as key or as what a source calls it."""
    asked = list(names)
    found = {row[0]: {row[0]} for row in await reader.fetch_all(_KNOWN, names=asked)}
    rest = [name for name in asked if name not in found]
    called: list[Row] = []
    for feed_id, run in await reader.fetch_all(_RUNS) if rest else []:
        called += await reader.fetch_all(_CALLED, feed_id=feed_id, run=run, names=rest)
    keys: dict[int, set[str]] = {}
    for number, key in await reader.fetch_all(_KEYS, ids=[number for _, number in called]) if called else []:
        keys.setdefault(number, set()).add(key)
    for name, number in called:
        found.setdefault(name, set()).update(keys.get(number, ()))
    return found


async def bodies(reader: Reader, keys: Collection[str]) -> dict[str, bytes]:
    """Return key → msgpack of security.vulnerabilities.merging.Body of those that feeds know."""
    return {row[0]: bytes(row[1]) for row in await reader.fetch_all(_BODIES, keys=list(keys))}


async def set_curated(unit: Unit, keys: Collection[str]) -> None:
    """Let vulnerabilities know when somebody last judged them, by the statements there are now.

    Whoever changed these holds all feeds, or what a feed settles meanwhile may set it back.
    """
    await unit.execute(_SET_CURATED, keys=list(keys))


async def told(db: Database, family: str, names: Collection[str]) -> list[Told]:
    """Return the contents of packages in which builders say something, each once."""
    rows = await db.fetch_large(_TOLD, family=family, names=list(names))
    found = {bytes(row[1]): Told(row[0], bytes(row[1]), row[2], row[3]) for row in rows}
    return [found[sha256] for sha256 in sorted(found)]


async def files(db: Database, family: str, names: Collection[str], channel_id: int | None = None) -> list[FileOf]:
    """Return the files of packages that any channel has, or a given one."""
    given: dict[str, Any] = {"family": family, "names": list(names)}
    if channel_id is None:
        rows = await db.fetch_large(_FILES, **given)
    else:
        rows = await db.fetch_large(_FILES_HERE, **given, channel_id=channel_id)
    found = [FileOf(*row) for row in rows]
    return [one._replace(sha256=bytes(one.sha256)) if one.sha256 else one for one in found]
