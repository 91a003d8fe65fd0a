"""Lists of vulnerabilities, with filters, order and paging. Which files they are found in is `affected`.

A statement exists once for each set of filters and order that occurs; both come from the whitelists below. All
rows of `vulnerability` may be looked at, so nothing here runs on the event loop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, case, func, or_, select

from packhouse.catalog.judgement_tables import statement, vulnerability
from packhouse.catalog.vulnerabilities.curation import keys_called
from packhouse.core.db import Database, any_of
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


class VulnerabilityRow(msgspec.Struct, frozen=True):
    """What all feeds together say of one vulnerability; the score is in tenths, times are microseconds."""

    id: int
    key: str
    kind: str
    score: int | None
    exploited: bool
    published_at: int | None
    modified_at: int | None
    withdrawn_at: int | None
    curated_at: int | None
    summary: str
    body: bytes  #: msgpack of security.vulnerabilities.merging.Body


_V = vulnerability.c
_COLUMNS = tuple(_V[name] for name in VulnerabilityRow.__struct_fields__)


def _flag(condition: ColumnElement[bool], name: str) -> ColumnElement[bool]:
    return case((condition, 1), else_=0) == bindparam(name)


def _range(column: str, name: str) -> dict[str, ColumnElement[bool]]:
    """Return the filters `…_from` (included) and `…_to` (not included) of a time."""
    return {f"{name}_from": _V[column] >= bindparam(f"{name}_from"), f"{name}_to": _V[column] < bindparam(f"{name}_to")}


_FILTERS: dict[str, ColumnElement[bool]] = {
    "score_from": _V.score >= bindparam("score_from"),
    "score_to": _V.score <= bindparam("score_to"),
    "name": or_(func.lower(_V.key).like(bindparam("name"), escape="\\"), any_of(_V.key, "known_as")),
    "text": or_(
        func.lower(_V.key).like(bindparam("text"), escape="\\"),
        func.lower(_V.summary).like(bindparam("text"), escape="\\"),
        any_of(_V.key, "known_as"),
    ),
    "kind": _V.kind == bindparam("kind"),
    "exploited": _flag(_V.exploited.is_(True), "exploited"),
    "curated": _flag(_V.curated_at.is_not(None), "curated"),
    "withdrawn": _flag(_V.withdrawn_at.is_not(None), "withdrawn"),
    **_range("published_at", "published"),
    **_range("modified_at", "modified"),
    **_range("curated_at", "curated"),
    "ids": any_of(_V.id, "ids"),
}
_LATEST = (
    case((_V.curated_at.is_not(None), 1), else_=0).desc(),
    func.coalesce(_V.curated_at, _V.published_at, 0).desc(),
    _V.key,
)
_SORTS: dict[str, ColumnElement[Any]] = {
    "score": func.coalesce(_V.score, -1),
    "name": _V.key,
    "published": func.coalesce(_V.published_at, 0),
    "modified": func.coalesce(_V.modified_at, 0),
    "curated": func.coalesce(_V.curated_at, 0),
}
SORTS = frozenset({"latest", *_SORTS})

_STATED = select(statement.c.key).distinct()
_IDS = select(_V.id, _V.key).where(any_of(_V.key, "keys"))
_BY_KEY = select(*_COLUMNS).where(_V.key == bindparam("key"))
_BY_IDS = select(*_COLUMNS).where(any_of(_V.id, "ids"))


async def vulnerabilities(
    db: Database, given: Mapping[str, Any], *, sort: str = "latest", limit: int, offset: int
) -> tuple[list[VulnerabilityRow], int]:
    """Return a page of vulnerabilities and how many there are in all.

    `given` holds values of filters: scores in tenths, both bounds included; times in microseconds; `name` and `text` as
    a person typed them; `exploited`, `curated` and `withdrawn` 0 or 1; `ids` those to choose among. `latest`: what was
    judged last, then what was published last.
    Raises PackhouseError("bad_request") for an order that is not in SORTS.
    """
    if sort.removeprefix("-") not in SORTS or sort == "-latest":
        names = ", ".join(sorted(SORTS))
        raise PackhouseError("bad_request", f"`sort`: {sort[:40]!r} is no order.", f"Use one of {names}, or -score.")
    values = dict(given)
    if typed := [values[name] for name in ("name", "text") if name in values]:
        values["known_as"] = sorted(await _keys_of(db, typed))
    values |= {name: f"%{_escaped(values[name].lower())}%" for name in ("name", "text") if name in values}
    rows, count = _statements(frozenset(given), sort)
    page = await db.fetch_large(rows, limit=limit, offset=offset, **values) if limit else []
    if len(page) < limit and (page or not offset):
        return [_row(row) for row in page], offset + len(page)
    return [_row(row) for row in page], int((await db.fetch_large(count, **values))[0][0])


async def by_name(reader: Reader, name: str) -> VulnerabilityRow | None:
    """Return the vulnerability of a key, or else the one that a feed knows by this name."""
    for key in (name, *sorted(await _keys_of(reader, [name]))):
        if row := await reader.fetch_one(_BY_KEY, key=key):
            return _row(row)
    return None


async def by_ids(db: Database, ids: Collection[int]) -> dict[int, VulnerabilityRow]:
    """Return vulnerabilities by id."""
    rows = await db.fetch_large(_BY_IDS, ids=list(ids)) if ids else []
    return {row[0]: _row(row) for row in rows}


async def stated(db: Database) -> set[int]:
    """Return the vulnerabilities of which users or feeds say something in some files, under any of their names."""
    names = [row[0] for row in await db.fetch_large(_STATED)]
    called = await keys_called(db, names)
    keys = sorted({key for found in called.values() for key in found})
    return {row[0] for row in await db.fetch_large(_IDS, keys=keys)}


async def _keys_of(reader: Reader, names: Collection[str]) -> set[str]:
    """Return the keys of vulnerabilities known by names, in whatever case these were typed."""
    asked = sorted({spelling for name in names for spelling in (name.strip(), name.strip().upper())})
    return {key for found in (await keys_called(reader, asked)).values() for key in found}


@cache
def _statements(names: frozenset[str], sort: str) -> tuple[Select[Any], Select[Any]]:
    where = [_FILTERS[name] for name in names]
    if sort == "latest":
        order = [*_LATEST]
    else:
        chosen = _SORTS[sort.removeprefix("-")]
        order = [chosen.desc(), _V.key.desc()] if sort.startswith("-") else [chosen, _V.key]
    rows = select(*_COLUMNS).where(*where).order_by(*order)
    counted = select(func.count()).select_from(vulnerability).where(*where)
    return rows.limit(bindparam("limit")).offset(bindparam("offset")), counted


def _row(row: tuple[Any, ...]) -> VulnerabilityRow:
    values = [*row[:4], bool(row[4]), *row[5:10], bytes(row[10])]
    return VulnerabilityRow(*values)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
