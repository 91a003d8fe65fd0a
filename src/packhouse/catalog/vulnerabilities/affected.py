"""Queries of the files that vulnerabilities were found in: everywhere a caller may look, in a channel, of a package.

A finding is about a version; a file of that version, wherever it stands, has it. The way is always from affected names
to their files to findings, so that the work grows with those files and not with versions times files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, and_, bindparam, case, func, or_, select, true

from packhouse.catalog.judgement_tables import finding
from packhouse.catalog.packages.hiding import HIDDEN_BY, SHOWN, judged
from packhouse.catalog.rights.permissions import MANAGE
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, held, viewer
from packhouse.catalog.schema import channel, content, entry, record
from packhouse.core.db import Database, any_of

#: files that are looked into at a time, between which a server does other things
SLICE = 500


class AffectedFile(msgspec.Struct, frozen=True, gc=False):
    """A file in a channel, and one vulnerability that was found in its version."""

    vulnerability_id: int
    advisory_id: int
    fixed_in: str
    evidence: str
    entry_id: int
    channel: str  #: its path
    family: str
    partition: str
    name: str
    filename: str
    version: str
    build: str
    build_number: int
    record_id: int
    content_id: int | None
    sha256: bytes | None  #: of the bytes, or as the record claims
    timestamp: int | None  #: when it was built, as its source claims, in microseconds
    judged_by_builder: bool  #: it has an info/security.json
    hidden_by: str | None  #: the rule that hides it from readers there

    @property
    def ckey(self) -> str:
        """The key of the file within its package."""
        return f"{self.partition}/{self.filename}"


class Scope(NamedTuple):
    """Whose files are meant. `kind` chooses the statement, `values` go into it.

    `channel_id`: of one channel. `viewer_id`: of all channels a caller may see. `hidden`: what is hidden there too.
    `managed`: that in channels the caller manages.
    `package`: of one (family, name). `file`: one of its files. `path`: of the channel there.
    """

    kind: frozenset[str]
    values: dict[str, Any]

    def narrowed(self, family: str, name: str) -> Scope:
        """Return the same for the files of one package."""
        return Scope(self.kind | {"package"}, self.values | {"family": family, "package": name})

    def within(self, path: str) -> Scope:
        """Return the same in the channel at a path."""
        return Scope(self.kind | {"path"}, self.values | {"path": path})

    def of_file(self, partition: str, filename: str) -> Scope:
        """Return the same for one file of a package."""
        return Scope(self.kind | {"file"}, self.values | {"partition": partition, "filename": filename})


def everywhere(principal: Principal) -> Scope:
    """Return the files of all channels the caller may see; hidden ones where the caller manages the channel.

    A resource token shows none that are hidden, whatever its owner manages.
    """
    hidden = "viewer_id" if principal.resources is not None else "hidden" if principal.role == "admin" else "managed"
    return Scope(frozenset({"viewer_id", hidden}), viewer(principal))


def of_channel(channel_id: int, *, hidden: bool) -> Scope:
    """Return the files of one channel, those hidden from readers too if wanted."""
    return Scope(frozenset({"channel_id", *(["hidden"] if hidden else [])}), {"channel_id": channel_id})


_OTHER = finding.alias("affected")
_MANAGED = held(MANAGE)
_WHERE: dict[str, ColumnElement[bool]] = {
    "channel_id": entry.c.channel_id == bindparam("channel_id"),
    "viewer_id": VISIBLE,
    "package": and_(entry.c.family == bindparam("family"), entry.c.name == bindparam("package")),
    "file": and_(entry.c.partition == bindparam("partition"), entry.c.filename == bindparam("filename")),
    "path": channel.c.path == bindparam("path"),
    # a sum, so that the few findings of a file are read at once and not looked up by each of the ids
    "ids": any_of(finding.c.vulnerability_id + 0, "ids"),
    "built": content.c.judged_by_builder.is_(True),
}
_COLUMNS = (
    *(finding.c[name] for name in AffectedFile.__struct_fields__[:4]),
    entry.c.id,
    channel.c.path,
    *(entry.c[name] for name in ("family", "partition", "name", "filename")),
    *(record.c[name] for name in ("version", "build", "build_number")),
    entry.c.record_id,
    entry.c.content_id,
    func.coalesce(content.c.sha256, record.c.claimed_sha256),
    record.c.timestamp,
    case((content.c.judged_by_builder.is_(True), 1), else_=0),
    HIDDEN_BY,
)


def _found(flags: frozenset[str]) -> tuple[FromClause, list[ColumnElement[bool]]]:
    """Return what files with findings are read from, and the conditions of a scope."""
    files = (
        entry.join(record, record.c.id == entry.c.record_id)
        .join(
            finding,
            and_(
                finding.c.family == entry.c.family,
                finding.c.name == entry.c.name,
                finding.c.version == record.c.version,
            ),
        )
        .join(channel, channel.c.id == entry.c.channel_id)
    )
    if "built" in flags:
        files = files.join(content, content.c.id == entry.c.content_id)
    where = [_WHERE[name] for name in sorted(flags) if name in _WHERE]
    if "package" not in flags:  # a list of names is what the index of entries, or else of records, is asked with
        names = select(_OTHER.c.name).where(any_of(_OTHER.c.vulnerability_id, "ids") if "ids" in flags else true())
        where.append((entry if "channel_id" in flags else record).c.name.in_(names))
    if "hidden" not in flags:
        where.append(or_(SHOWN, _MANAGED) if "managed" in flags else SHOWN)
    return judged(files), where


@cache
def _distinct(flags: frozenset[str]) -> Select[Any]:
    files, where = _found(flags)
    return select(finding.c.vulnerability_id).select_from(files).where(*where).distinct()


@cache
def _rows(flags: frozenset[str], order: str) -> Select[Any]:
    files, where = _found(flags)
    held = files.outerjoin(content, content.c.id == entry.c.content_id)
    orders = {
        "package": (entry.c.family, entry.c.name, entry.c.id, finding.c.vulnerability_id),
        "place": (channel.c.path, entry.c.family, entry.c.name, entry.c.partition, entry.c.filename),
    }
    return select(*_COLUMNS).select_from(held).where(*where).order_by(*orders[order])


@cache
def _page(flags: frozenset[str]) -> Select[Any]:
    return _rows(flags, "place").limit(bindparam("limit")).offset(bindparam("offset"))


@cache
def _counts(flags: frozenset[str]) -> Select[Any]:
    files, where = _found(flags)
    packages = func.count(func.distinct(entry.c.family + "\x1f" + entry.c.name))
    return (
        select(finding.c.vulnerability_id, packages, func.count(func.distinct(entry.c.id)))
        .select_from(files)
        .where(*where)
        .group_by(finding.c.vulnerability_id)
    )


@cache
def _channels(flags: frozenset[str]) -> Select[Any]:
    files, where = _found(flags)
    hidden = func.count(func.distinct(case((HIDDEN_BY.is_not(None), entry.c.id))))
    return (
        select(channel.c.path, func.count(func.distinct(entry.c.id)), hidden)
        .select_from(files)
        .where(*where)
        .group_by(channel.c.path)
        .order_by(channel.c.path)
    )


@cache
def _of_packages(hidden: bool) -> Select[Any]:
    """Count by package: of each finding one file is looked for, by its version, and never all files of the package."""
    files = entry.join(record, record.c.id == entry.c.record_id).join(channel, channel.c.id == entry.c.channel_id)
    where = [
        record.c.name == finding.c.name,
        record.c.version == finding.c.version,
        entry.c.family == finding.c.family,
        # `+ 0` keeps a planner without statistics from going through all files of the package for each finding
        entry.c.channel_id + 0 == bindparam("channel_id"),
        *([] if hidden else [SHOWN]),
    ]
    # no EXISTS, of which PostgreSQL makes a join with every file of the channel
    file = select(entry.c.id).select_from(judged(files)).where(*where).limit(1).correlate(finding).scalar_subquery()
    return (
        select(finding.c.name, func.count(func.distinct(finding.c.vulnerability_id)))
        .where(finding.c.family == bindparam("family"), any_of(finding.c.name, "names"), file.is_not(None))
        .group_by(finding.c.name)
    )


async def of_packages(
    db: Database, channel_id: int, family: str, names: Collection[str], *, hidden: bool
) -> dict[str, int]:
    """Return how many vulnerabilities were found in files of packages of a channel; not those that have none."""
    rows = await db.fetch_large(_of_packages(hidden), channel_id=channel_id, family=family, names=list(names))
    return {row[0]: row[1] for row in rows}


async def counts(db: Database, scope: Scope, ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return by vulnerability how many packages and how many files of the scope it was found in; not those in none."""
    if not ids:
        return {}
    rows = await db.fetch_large(_counts(scope.kind | {"ids"}), ids=list(ids), **scope.values)
    return {row[0]: (row[1], row[2]) for row in rows}


async def everything(db: Database, scope: Scope) -> set[int]:
    """Return the vulnerabilities found in files of a scope."""
    return {row[0] for row in await db.fetch_large(_distinct(scope.kind), **scope.values)}


async def built(db: Database, scope: Scope, ids: Collection[int] | None = None) -> set[int]:
    """Return the vulnerabilities, of these or all, found in files of a scope whose builder says something of any."""
    flags, values = _chosen(scope, ids)
    rows = await db.fetch_large(_distinct(flags | {"built"}), **values)
    return {row[0] for row in rows}


async def channels(db: Database, scope: Scope, vulnerability_id: int) -> list[tuple[str, int, int]]:
    """Return by channel path how many files have a vulnerability, and how many of them are hidden from readers."""
    rows = await db.fetch_large(_channels(scope.kind | {"ids"}), ids=[vulnerability_id], **scope.values)
    return [(row[0], row[1], row[2]) for row in rows]


async def files(db: Database, scope: Scope, ids: Collection[int] | None = None) -> list[AffectedFile]:
    """Return every file of a scope with every vulnerability found in it, or with these, by package."""
    flags, values = _chosen(scope, ids)
    rows = await db.fetch_large(_rows(flags, "package"), **values)
    return [_file(row) for row in rows]


async def page(db: Database, scope: Scope, vulnerability_id: int, limit: int, offset: int) -> list[AffectedFile]:
    """Return a page of the files of a scope that have a vulnerability, by channel, package and file name."""
    flags = scope.kind | {"ids"}
    rows = await db.fetch_large(_page(flags), ids=[vulnerability_id], limit=limit, offset=offset, **scope.values)
    return [_file(row) for row in rows]


async def stream(
    db: Database, scope: Scope, ids: Collection[int] | None = None, *, order: str = "package"
) -> AsyncIterator[list[AffectedFile]]:
    """Yield the same as `files` in batches, in constant memory; `order` is `package` or `place`, as of `page`."""
    flags, values = _chosen(scope, ids)
    async for rows in db.stream(_rows(flags, order), **values):
        for start in range(0, len(rows), SLICE):
            yield [_file(row) for row in rows[start : start + SLICE]]


def _chosen(scope: Scope, ids: Collection[int] | None) -> tuple[frozenset[str], dict[str, Any]]:
    """Return flags and values for the findings of these vulnerabilities, or of all."""
    if ids is None:
        return scope.kind, scope.values
    return scope.kind | {"ids"}, scope.values | {"ids": list(ids)}


def _file(row: tuple[Any, ...]) -> AffectedFile:
    values = [*row[:-2], bool(row[-2]), row[-1]]
    return AffectedFile(*values)
