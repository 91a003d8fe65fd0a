"""Lists of packages and of the files of a package, with filters, order and paging.

A statement exists once for each set of filters and order that occurs; both come from the whitelists below. The number
of packages of a whole channel is a row of `package_total`, so that a page of a million files costs its own rows only;
elsewhere a page that is not full needs no counting. Files are chosen by narrow rows before any is read whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, Text, and_, bindparam, case, func, literal, select

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.hiding import SHOWN, judged
from packhouse.catalog.packages.search import EXACT, matches, words_of
from packhouse.catalog.rights.visibility import VISIBLE
from packhouse.catalog.schema import (
    channel,
    content,
    download,
    entry,
    package,
    package_total,
    record,
    record_body,
)
from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError

#: pages up to this long are read on the event loop, longer ones away from it
INLINE_ROWS = 1000


class PackageRow(msgspec.Struct, frozen=True, gc=False):
    """One package of one channel; times in microseconds since the epoch."""

    channel: str  #: its path
    family: str
    name: str
    file_count: int
    download_count: int
    latest_version: str
    build_number: int
    license: str
    license_family: str
    summary: str
    platforms: str  #: separated by spaces
    created_at: int
    updated_at: int


class FileRow(msgspec.Struct, frozen=True):
    """One visible file of a channel; times in microseconds since the epoch, sizes in bytes."""

    id: int
    family: str
    partition: str
    name: str
    filename: str
    content_id: int | None  #: None: passive, not fetched yet
    mirror_id: int | None
    visible_at: int
    version: str
    build: str
    build_number: int
    license: str
    license_family: str
    timestamp: int | None
    signed: bool
    size: int | None
    sha256: bytes | None
    md5: bytes | None
    download_count: int
    record: bytes  #: canonical JSON
    signatures: str | None


Page = tuple[list[Any], int]

#: what a PackageRow is read from, but the path of its channel
PACKAGE_COLUMNS = tuple(package.c[name] for name in PackageRow.__struct_fields__[1:])
_PACKAGE_SORTS: dict[str, ColumnElement[Any]] = {
    name: package.c[name] for name in ("name", "download_count", "file_count", "created_at", "updated_at")
}
_PACKAGE_FILTERS: dict[str, ColumnElement[bool]] = {
    "channel_id": package.c.channel_id == bindparam("channel_id"),
    "viewer_id": VISIBLE,
    "family": package.c.family == bindparam("family"),
    "name": package.c.name == bindparam("name"),
    "platform": (literal(" ") + package.c.platforms + literal(" ")).like(bindparam("platform"), escape="\\"),
}
_TOTAL = select(package_total.c.packages).where(package_total.c.channel_id == bindparam("channel_id"))
_CHANGES = select(package_total.c.changes).where(package_total.c.channel_id == bindparam("channel_id"))

_FILE = (
    *(entry.c[name] for name in FileRow.__struct_fields__[:8]),
    *(record.c[name] for name in FileRow.__struct_fields__[8:15]),
    func.coalesce(content.c.size, record.c.size),
    func.coalesce(content.c.sha256, record.c.claimed_sha256),
    func.coalesce(content.c.md5, record.c.claimed_md5),
    func.coalesce(download.c.count, 0),
    record_body.c.json,
    record_body.c.signatures,
)
_SEEN = judged(entry.join(channel, channel.c.id == entry.c.channel_id))
_FILE_SORTS: dict[str, ColumnElement[Any]] = {
    "name": entry.c.filename,
    "size": func.coalesce(content.c.size, record.c.size, 0),
    "created_at": entry.c.visible_at,
    "platform": entry.c.partition,
}
_FILE_FILTERS: dict[str, ColumnElement[bool]] = {
    "channel_id": and_(entry.c.channel_id == bindparam("channel_id"), SHOWN),
    "family": entry.c.family == bindparam("family"),
    "name": entry.c.name == bindparam("name"),
    "platform": entry.c.partition == bindparam("platform"),
    "version": record.c.version == bindparam("version"),
    "filename": entry.c.filename.like(bindparam("filename"), escape="\\"),
    "active": (case((entry.c.content_id.is_(None), 0), else_=1)) == bindparam("active"),
    "signed": (case((record.c.signed.is_(True), 1), else_=0)) == bindparam("signed"),
    "size_from": func.coalesce(content.c.size, record.c.size, 0) >= bindparam("size_from"),
    "size_to": func.coalesce(content.c.size, record.c.size, 0) <= bindparam("size_to"),
    "created_from": entry.c.visible_at >= bindparam("created_from"),
    "created_to": entry.c.visible_at < bindparam("created_to"),
}

PACKAGE_SORTS = frozenset(_PACKAGE_SORTS)
FILE_SORTS = frozenset(_FILE_SORTS)
#: filters and orders of files that look at more than the entry
_OF_RECORD = frozenset({"version", "signed", "size", "size_from", "size_to"})
_HELD = (
    select(entry.c.content_id)
    .select_from(_SEEN.join(record, record.c.id == entry.c.record_id))
    .where(*(_FILE_FILTERS[name] for name in ("channel_id", "family", "name")), entry.c.content_id.is_not(None))
    .order_by(case((record.c.version == bindparam("version"), 0), else_=1), entry.c.visible_at.desc(), entry.c.id)
    .limit(1)
)


async def packages(
    db: Database, given: Mapping[str, Any], *, question: str = "", sort: str = "name", limit: int, offset: int
) -> Page:
    """Return a page of PackageRow and how many there are in all.

    `given` has `channel_id` and `path` of one channel, or the values of `visibility.viewer` for all that viewer sees;
    `family`, `name` and `platform` narrow it. `question` is what a person typed; without an order, packages of exactly
    that name come first.
    Raises PackhouseError("bad_request") for an order that is not in PACKAGE_SORTS.
    """
    values, names = dict(given), frozenset(given) & frozenset(_PACKAGE_FILTERS)
    if "platform" in values:
        values["platform"] = f"% {_escaped(values['platform'])} %"
    if question:
        words = words_of(question, db.dialect)
        if words is None:
            return [], 0
        values |= {"words": words, "exact": question.strip().lower()}
        names |= {"words"}
    rows, count = _package_statements(db.dialect, names, _checked(sort, PACKAGE_SORTS | {""}))
    # PostgreSQL and FTS5 may look at many rows to find few
    page = [PackageRow(*row) for row in await _page(db, rows, limit, offset, values, large="words" in values)]
    if names == {"channel_id"}:
        return page, int(await db.fetch_value(_TOTAL, channel_id=values["channel_id"]) or 0)
    return page, await _total(db, count, page, limit, offset, values)


async def change_number(db: Database, channel_id: int) -> int:
    """Return a number that grows with every change of what `packages` shows of a channel, its path apart."""
    return int(await db.fetch_value(_CHANGES, channel_id=channel_id) or 0)


async def package_of(reader: Reader, here: Channel, family: str, name: str) -> PackageRow | None:
    """Return one package."""
    rows, _ = _package_statements(reader.dialect, frozenset({"channel_id", "family", "name"}), "name")
    values = {"channel_id": here.id, "path": here.path, "family": family, "name": name}
    row = await reader.fetch_one(rows, limit=1, offset=0, **values)
    return PackageRow(*row) if row else None


async def files(db: Database, given: Mapping[str, Any], *, sort: str = "-created_at", limit: int, offset: int) -> Page:
    """Return a page of FileRow and how many there are in all.

    `given` holds `channel_id` and any of: `family`, `name`, `platform`, `version`, `filename` (a part of it), `active`
    and `signed` (0 or 1), `size_from` and `size_to` (bytes), `created_from` and `created_to` (microseconds).
    Raises PackhouseError("bad_request") for an order that is not in FILE_SORTS.
    """
    values = dict(given)
    if "filename" in values:
        values["filename"] = f"%{_escaped(values['filename'])}%"
    rows, count = _file_statements(frozenset(values), _checked(sort, FILE_SORTS))
    page = [FileRow(*row) for row in await _page(db, rows, limit, offset, values, large=True)]
    return page, await _total(db, count, page, limit, offset, values)


async def held_content(reader: Reader, channel_id: int, family: str, name: str, version: str) -> int | None:
    """Return a content of a package that speaks for it: of `version` if we hold one, else the newest we hold."""
    value = await reader.fetch_value(_HELD, channel_id=channel_id, family=family, name=name, version=version)
    return None if value is None else int(value)


async def _page(
    db: Database, statement: Select[Any], limit: int, offset: int, values: Mapping[str, Any], *, large: bool
) -> list[Any]:
    """Return the rows of a page; away from the event loop if many rows are to be read, or looked at (`large`)."""
    if limit == 0:
        return []
    fetch = db.fetch_large if large or limit > INLINE_ROWS else db.fetch_all
    return await fetch(statement, limit=limit, offset=offset, **values)


async def _total(
    db: Database, count: Select[Any], page: list[Any], limit: int, offset: int, values: Mapping[str, Any]
) -> int:
    """Return how many rows there are in all; a page that is not full, and not beyond the end, tells it itself."""
    if len(page) < limit and (page or not offset):
        return offset + len(page)
    return int((await db.fetch_large(count, **values))[0][0])


@cache
def _package_statements(dialect: str, names: frozenset[str], sort: str) -> tuple[Select[Any], Select[Any]]:
    where: list[Any] = [_PACKAGE_FILTERS[name] for name in names if name != "words"]
    where += [matches(dialect)] if "words" in names else []
    # within one channel its path is known: without a join OFFSET skips along the index alone
    seen = "viewer_id" in names
    joined = package.join(channel, channel.c.id == package.c.channel_id) if seen else package
    path: ColumnElement[Any] = channel.c.path if seen else bindparam("path", type_=Text)
    if sort in ("name", "-name") and not seen:
        order = _order(_PACKAGE_SORTS, sort, package.c.family)  # both stand in the unique index of a channel
    elif sort:
        order = _order(_PACKAGE_SORTS, sort, package.c.id)
    else:
        order = [package.c.download_count.desc(), package.c.name, package.c.id]
    if "words" in names:
        order = [EXACT.desc(), *order] if not sort else order
    rows = select(path, *PACKAGE_COLUMNS).select_from(joined).where(*where).order_by(*order)
    return _paged(rows), select(func.count()).select_from(joined).where(*where)


@cache
def _file_statements(names: frozenset[str], sort: str) -> tuple[Select[Any], Select[Any]]:
    where = [_FILE_FILTERS[name] for name in names]
    order = _order(_FILE_SORTS, sort, entry.c.id)
    seen = _SEEN if _OF_RECORD.isdisjoint({*names, sort.removeprefix("-")}) else _with_bytes(_SEEN)
    found = _paged(select(entry.c.id).select_from(seen).where(*where).order_by(*order)).subquery()
    shown = (
        _with_bytes(entry.join(found, found.c.id == entry.c.id))
        .join(record_body, record_body.c.record_id == entry.c.record_id)
        .outerjoin(download, download.c.entry_id == entry.c.id)
    )
    rows = select(*_FILE).select_from(shown).order_by(*order)
    return rows, select(func.count()).select_from(seen).where(*where)


def _with_bytes(entries: FromClause) -> FromClause:
    """Return entries with their record and, if we hold it, their content."""
    whole = entries.join(record, record.c.id == entry.c.record_id)
    return whole.outerjoin(content, content.c.id == entry.c.content_id)


def _paged(statement: Select[Any]) -> Select[Any]:
    return statement.limit(bindparam("limit")).offset(bindparam("offset"))


def _order(sorts: Mapping[str, ColumnElement[Any]], sort: str, last: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return `name` or `-name` as columns; the row id makes the order total, so that pages never overlap."""
    chosen = sorts[sort.removeprefix("-")]
    return [chosen.desc(), last.desc()] if sort.startswith("-") else [chosen, last]


def _checked(sort: str, known: frozenset[str]) -> str:
    if sort.removeprefix("-") not in known or sort == "-":
        names = ", ".join(sorted(name for name in known if name))
        raise PackhouseError("bad_request", f"`sort`: {sort[:40]!r} is no order.", f"Use one of {names}, or -name.")
    return sort


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
