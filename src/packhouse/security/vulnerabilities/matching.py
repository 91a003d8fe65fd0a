"""Which versions of a package an advisory affects, and why: OSV's evaluation, for all versions of a name at once.

Each version is read once and sorted; an advisory then costs two binary searches for each of its intervals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory, Affected, Event
from packhouse.security.vulnerabilities.orders import Key, Order, Scale, order_of
from packhouse.security.vulnerabilities.ranges import Interval, Line, Range, is_everything, reads

#: lines that are kept: every match of a package asks for those of its advisories again
_KEPT = 20_000


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What in an advisory says that a version is affected: a range, or else the version listed there."""

    ecosystem: str
    name: str
    listed: str = ""  #: the listed version as the advisory spells it; empty: a range says so
    introduced: str = ""  #: "0": from the beginning
    end: Event | None = None  #: where the range ends: fixed, last_affected or limit; None: it does not


class Hit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A version is affected."""

    evidence: Evidence
    fixed_in: str | None  #: the nearest fixed version above it, as the advisory spells it


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An advisory affects a version; both are indexes into what `match` was asked about."""

    version: int
    advisory: int
    keys: tuple[str, ...]  #: the vulnerabilities it is about, `Advisory.keys`
    fixed_in: str | None
    evidence: Evidence


def match(
    advisories: Sequence[Advisory], upstream_names: Collection[tuple[str, str]], versions: Sequence[str], family: str
) -> list[Finding]:
    """Return what advisories say of the versions of one package, sorted by advisory and version.

    `upstream_names` are the (ecosystem, name) that the package has in advisories, spelled as these do; `versions` are
    spelled as in `family`. There is one finding for each version and advisory. A range is the better evidence than a
    listed version, an earlier entry or range than a later one; but those that the ecosystem's own scale reads come
    before those it does not. An advisory that was withdrawn says nothing.
    """
    names = set(upstream_names)
    shelves: dict[Order, _Versions] = {}
    found: list[Finding] = []
    for number, advisory in enumerate(advisories):
        if advisory.withdrawn_at is not None:
            continue
        hits: dict[int, Hit] = {}
        for affected in advisory.affected:
            if (affected.ecosystem, affected.name) in names:
                order = order_of(affected.ecosystem, family)
                if order not in shelves:
                    shelves[order] = _Versions(versions, order)
                hits = _hits(affected, shelves[order]) | hits
        if hits:
            keys = advisory.keys
            found += [Finding(row, number, keys, (hit := hits[row]).fixed_in, hit.evidence) for row in sorted(hits)]
    return found


class _Column:
    """Those versions that one scale reads, sorted: `keys[i]` is the key of version `rows[i]`."""

    def __init__(self, versions: Sequence[str], rows: Sequence[int], scale: Scale) -> None:
        read = [(key, row) for row in rows if (key := scale.read(versions[row])) is not None]
        read.sort(key=_first)
        self.scale = scale
        self.keys = [key for key, _ in read]
        self.rows = [row for _, row in read]

    @cached_property
    def equal(self) -> dict[Key, list[int]]:
        """Return the rows of each key. A local variant of a public version stands under that, too."""
        found: dict[Key, list[int]] = {}
        for key, row in zip(self.keys, self.rows, strict=True):
            found.setdefault(key, []).append(row)
            if (bare := self.scale.bare(key)) is not key:
                found.setdefault(bare, []).append(row)
        return found

    def key_of(self, row: int) -> Key | None:
        """Return the key of a version, None when it is not in this column."""
        return self._keys_by_row.get(row)

    @cached_property
    def _keys_by_row(self) -> dict[int, Key]:
        return dict(zip(self.rows, self.keys, strict=True))


class _Versions:
    """All versions of a package, read once: on the ecosystem's own scale, and on the fallback."""

    def __init__(self, versions: Sequence[str], order: Order) -> None:
        self.texts = versions
        self.order = order
        self.own = _Column(versions, range(len(versions)), order.own)
        self._rows_of: dict[str, list[int]] = {}

    @cached_property
    def rest(self) -> _Column | None:
        """Return what only the fallback reads."""
        if self.order.fallback is None or len(self.own.rows) == len(self.texts):
            return None
        unread = sorted(set(range(len(self.texts))).difference(self.own.rows))
        return _Column(self.texts, unread, self.order.fallback)

    @cached_property
    def every(self) -> _Column:
        """Return all versions on the fallback scale, for what is no version on the ecosystem's own."""
        return _Column(self.texts, range(len(self.texts)), self.order.fallback or self.order.own)

    def rows_of(self, text: str) -> list[int]:
        """Return the rows of the versions that are `text` in the ecosystem's sense, or are spelled so."""
        # advisories about one package list the same versions again and again
        rows = self._rows_of.get(text)
        if rows is None:
            rows = self._rows_of[text] = sorted({*self._equal(text), *self._spelled.get(text, ())})
        return rows

    def _equal(self, text: str) -> Iterator[int]:
        readable = self.order.own.read(text) is not None
        for column in (self.own, self.rest) if readable else (self.every,):
            if column is not None and (key := column.scale.read(text)) is not None:
                yield from column.equal.get(key, ())

    @cached_property
    def _spelled(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row, text in enumerate(self.texts):
            found.setdefault(text, []).append(row)
        return found


class _Table(NamedTuple):
    """The versions of one column, and the ranges that are asked there."""

    column: _Column
    line: Line


def _first(pair: tuple[Key, int]) -> Key:
    return pair[0]


def _hits(affected: Affected, versions: _Versions) -> dict[int, Hit]:
    """Return the rows that are affected, and why: by the first range that holds them, else as listed."""
    tables = _tables(affected, versions)
    hits: dict[int, Hit] = {}
    for column, line in reversed(tables):  # what is written later stays, so the first comes last
        for interval in reversed(line.intervals):
            start, stop = interval.span(column.keys)
            if start < stop:
                hits.update(dict.fromkeys(column.rows[start:stop], _hit(affected, interval, line)))
    if any(map(is_everything, affected.ranges)):
        everything = Hit(Evidence(affected.ecosystem, affected.name, introduced="0"), None)
        hits = dict.fromkeys(range(len(versions.texts)), everything) | hits
    if len(hits) < len(versions.texts):
        for text in affected.versions:
            for row in versions.rows_of(text):
                if row not in hits:
                    hits[row] = Hit(Evidence(affected.ecosystem, affected.name, listed=text), _fixed_after(row, tables))
    return hits


def _hit(affected: Affected, interval: Interval, line: Line) -> Hit:
    evidence = Evidence(affected.ecosystem, affected.name, "", interval.introduced.version, interval.end)
    return Hit(evidence, line.fixed_in(interval))


def _tables(affected: Affected, versions: _Versions) -> list[_Table]:
    """Choose the scale for each range and version: the ecosystem's own where it reads both, else the fallback."""
    own = versions.order.own
    known = [one for one in affected.ranges if reads(one, own)]
    tables = [_Table(versions.own, _line(tuple(known), own))]
    if versions.rest is not None:
        tables.append(_Table(versions.rest, _line(tuple(known), versions.rest.scale)))
    if len(known) < len(affected.ranges):
        strange = [one for one in affected.ranges if one not in known]
        tables.append(_Table(versions.every, _line(tuple(strange), versions.every.scale)))
    return tables


@lru_cache(maxsize=_KEPT)
def _line(ranges: tuple[Range, ...], scale: Scale) -> Line:
    return Line(ranges, scale)


def _fixed_after(row: int, tables: list[_Table]) -> str | None:
    """Return where a listed version, which no range holds, is fixed: the nearest of the first table that knows."""
    fixes = (line.fixed_after(key) for column, line in tables if (key := column.key_of(row)) is not None)
    return next((fix for fix in fixes if fix is not None), None)
