"""The records of a file, cut out one by one, whatever they are written as, and which kind of record each is.

A part of a file (the file, or a member of a zip) is one JSON document, JSON lines, or CSV. Its first bytes say which.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Literal

import msgspec

from packhouse.formats.archives.limits import GIB, KIB, MIB, Limits
from packhouse.formats.archives.members import Part, lines
from packhouse.formats.base import Malformed
from packhouse.security.vulnerabilities.feeds import curated
from packhouse.security.vulnerabilities.feeds.elements import Elements
from packhouse.security.vulnerabilities.feeds.reading import Most, NoFeed, Row, Skipped, shown

FeedKind = Literal["osv", "nvd", "kev", "curated"]

#: of a whole file. Advisories are alike, so they compress far better than packages
LIMITS = Limits(file_size=4 * GIB, expanded=16 * GIB, ratio_floor=256 * MIB, ratio=200)
#: lines or rows of one part, empty ones counted
_MOST_LINES = 5_000_000
#: a part up to this size may be one record
_SMALL = Most.RECORD
#: what is looked at to recognise what a part is written as
_HEAD = 64 * KIB
_LISTS = frozenset((b"vulnerabilities", b"vulns", b"advisories"))
_BOM = b"\xef\xbb\xbf"


_ABSENT = msgspec.Raw()


class _Shape(msgspec.Struct):
    """The names of an object that tell what it is; what they hold is not read."""

    vulnerabilities: msgspec.Raw = _ABSENT
    vulns: msgspec.Raw = _ABSENT
    advisories: msgspec.Raw = _ABSENT
    id: msgspec.Raw = _ABSENT
    cve: msgspec.Raw = _ABSENT
    cve_id: msgspec.Raw = msgspec.field(name="cveID", default=_ABSENT)
    modified: msgspec.Raw = _ABSENT
    schema_version: msgspec.Raw = _ABSENT
    affected: msgspec.Raw = _ABSENT
    details: msgspec.Raw = _ABSENT
    cvss: msgspec.Raw = _ABSENT
    status: msgspec.Raw = _ABSENT
    package: msgspec.Raw = _ABSENT
    score: msgspec.Raw = _ABSENT
    curated: msgspec.Raw = _ABSENT


_shape = msgspec.json.Decoder(_Shape)
#: what decoding raises for bad JSON, wrong types, bytes that are no UTF-8, and deep nesting
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def recognise(data: bytes) -> FeedKind | None:
    """Return the kind of one record by the names in it; None for something else."""
    try:
        shape = _shape.decode(data)
    except UNREADABLE:
        return None
    if shape.cve:
        return "nvd"
    if shape.cve_id:
        return "kev"
    if not shape.id:
        return None
    if shape.status or shape.cvss or shape.package or shape.score or shape.curated:
        return "curated"
    return "osv" if shape.affected or shape.modified or shape.schema_version or shape.details else None


def records(part: Part) -> Iterator[Row | Skipped]:
    """Give the records of one part. Malformed when it is none of the three forms, or its document is truncated."""
    head = bytearray()
    for chunk in part.chunks:
        head += chunk
        if len(head) >= _HEAD:
            break
    text = bytes(head.removeprefix(_BOM))
    rest = chain((text,), part.chunks)
    form = _form(text, part.name)
    if form == "json":
        return _document(rest, part.name)
    return _lines(rest, part.name) if form == "lines" else _table(rest, part.name)


def _form(head: bytes, name: str) -> Literal["json", "lines", "csv"]:
    start = head.lstrip()
    if start.startswith(b"["):
        return "json"
    if not start.startswith(b"{"):
        return "csv"
    first, _, others = start.partition(b"\n")
    if name.endswith((".jsonl", ".ndjson")):
        return "lines"
    # a document may be written in lines, too, but then no record stands on the first
    following = others.lstrip()[:1] == b"{" and not first.rstrip().endswith((b"[", b"{", b",", b":"))
    return "lines" if others and (following or recognise(first) is not None) else "json"


def _place(member: str, what: str) -> str:
    return f"{member}, {what}" if member else what


def _document(chunks: Iterator[bytes], name: str) -> Iterator[Row | Skipped]:
    """Give the one record a document is, or those of its list."""
    whole, size = [], 0
    for chunk in chunks:
        whole.append(chunk)
        size += len(chunk)
        if size > _SMALL:
            break
    else:
        data = b"".join(whole)
        if data.lstrip().startswith(b"{") and not _has_list(data):
            yield Row(name or "the record", data)
            return
    elements = Elements(chain(whole, chunks), _LISTS)
    for number, found in elements:
        where = _place(name, f"record {number}")
        if found is None:
            yield Skipped(where, "It is no JSON object.")
        else:
            yield _row(where, found)
    if not elements.found:
        raise NoFeed("The JSON holds no list of advisories, and is too large for one.")


def _has_list(data: bytes) -> bool:
    try:
        shape = _shape.decode(data)
    except UNREADABLE:
        # cut up, one bad record does not spoil the others
        return any(b'"%b"' % name in data for name in _LISTS)
    return bool(shape.vulnerabilities or shape.vulns or shape.advisories)


def _row(where: str, data: bytes) -> Row | Skipped:
    if len(data) > Most.RECORD:
        return Skipped(where, f"It has {len(data):,} bytes; at most {Most.RECORD:,} are read.")
    return Row(where, data)


def _bounded(chunks: Iterator[bytes], name: str) -> Iterator[tuple[str, bytes | None]]:
    for number, line in lines(chunks, Most.RECORD):
        if number > _MOST_LINES:
            raise Malformed(f"It has more than {_MOST_LINES:,} lines.")
        yield _place(name, f"line {number}"), line


_TOO_LONG = f"It has more than {Most.RECORD:,} bytes."


def _lines(chunks: Iterator[bytes], name: str) -> Iterator[Row | Skipped]:
    for where, line in _bounded(chunks, name):
        if line is None:
            yield Skipped(where, _TOO_LONG)
        elif line.strip():
            yield Row(where, line)


class _Table:
    """The lines of a table as text, for `csv`; what is no text is kept back and told."""

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self.skipped: list[Skipped] = []
        self.where = ""
        self._lines = _bounded(chunks, name)

    def __iter__(self) -> Iterator[str]:
        for where, line in self._lines:
            self.where = where
            if line is None:
                self.skipped.append(Skipped(where, _TOO_LONG))
                continue
            try:
                yield line.decode() + "\n"
            except UnicodeDecodeError:
                self.skipped.append(Skipped(where, "It is not UTF-8."))


def _table(chunks: Iterator[bytes], name: str) -> Iterator[Row | Skipped]:
    """Give the rows of a CSV as JSON. Malformed when its header is not that of a curated feed."""
    table = _Table(chunks, name)
    text = iter(table)
    header = next(text, "")
    separator = max(",;\t", key=header.count)
    columns = [column.strip().lower() for column in header.rstrip("\n").replace('"', "").split(separator)]
    unknown = [column for column in columns if column not in curated.COLUMNS]
    if "id" not in columns:
        raise NoFeed("It is neither JSON nor a CSV with a header that has the column id.")
    if unknown or len(set(columns)) < len(columns):
        what = f"{shown(unknown[0])} is none we know" if unknown else "one is there twice"
        raise Malformed(f"The columns of the CSV are not those of a curated feed: {what}.")
    reader = csv.reader(text, delimiter=separator, strict=True)
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            yield Skipped(table.where, f"The row cannot be read: {error}.")
            continue
        yield from table.skipped
        table.skipped.clear()
        if values is None:
            return
        if len(values) != len(columns):
            if any(values):
                yield Skipped(table.where, f"The row has {len(values)} values for {len(columns)} columns.")
            continue
        row = {column: value for column, value in zip(columns, values, strict=True) if value}
        yield Row(table.where, msgspec.json.encode(row))
