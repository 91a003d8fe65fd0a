"""Readers of advisory feeds behind one interface: OSV, NVD, CISA's catalogue of what is exploited, and curated ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from packhouse.formats.archives.members import open_parts
from packhouse.formats.base import Malformed
from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.security.vulnerabilities.feeds import curated, kev, nvd, osv
from packhouse.security.vulnerabilities.feeds.reading import NoFeed, Notes, Reader, Refused, Row, Skipped, shown
from packhouse.security.vulnerabilities.feeds.records import LIMITS, UNREADABLE, FeedKind, recognise, records

__all__ = ["FeedKind", "Skipped", "read", "survey"]

_READERS: dict[FeedKind, Reader] = {
    "osv": osv.advisory,
    "nvd": nvd.advisory,
    "kev": kev.advisory,
    "curated": curated.advisory,
}
#: distinct ids of one file
_MOST_RECORDS = 2_000_000
#: bytes of the curated records of one file, which are kept until its end, since many may be about one id
_MOST_CURATED = 256 * 1024 * 1024
#: an air-gap folder is searched this far: files looked at, folders deep, records until one is recognised
_MOST_FILES, _MOST_DEPTH, _MOST_LOOKS = 10_000, 8, 20
_SUFFIXES = (".zip", ".json", ".jsonl", ".ndjson", ".csv")
_PACKED = (".gz", ".zst")


def read(path: Path, kind: str | None = None, kinds: set[str] | None = None) -> Iterator[Advisory | Skipped]:
    """Read the feed in the file `path`: each advisory, and what was passed over with the reason.

    The file may be a zip of such files, or be packed as .zst or .gz; its content says so. `kind` is a `FeedKind`; by
    None each record is recognised by its names. An id is given once: the first record counts, but curated records of
    one id are one advisory, and come last. A `Skipped` may be about a part of a record that is given, too. `kinds` gets
    those of the records that were read.

    Malformed, also after advisories were given, when the file as a whole cannot be read to its end: then nothing of
    it should be used. ValueError for a kind that is none.
    """
    if kind is not None and kind not in _READERS:
        raise ValueError(f"{shown(kind)} is no kind of feed; kinds are {', '.join(_READERS)}.")
    return _Reading(kind, set() if kinds is None else kinds).run(path)


class _Reading:
    """One pass over one file."""

    def __init__(self, kind: str | None, kinds: set[str]) -> None:
        self._kind, self._kinds = kind, kinds
        self._seen: set[str] = set()
        self._curated: dict[str, list[Advisory]] = {}
        self._kept = 0

    def run(self, path: Path) -> Iterator[Advisory | Skipped]:
        with open_parts(path, LIMITS) as parts:
            for part in parts:
                if part.name and not part.name.endswith(_SUFFIXES):
                    continue
                try:
                    for found in records(part):
                        if isinstance(found, Skipped):
                            yield found
                        else:
                            yield from self._record(found)
                except NoFeed as error:
                    if not part.name:
                        raise
                    yield Skipped(part.name, str(error))  # a zip may hold something beside
        yield from self._merged()

    def _record(self, row: Row) -> Iterator[Advisory | Skipped]:
        kind = self._kind or recognise(row.data)
        notes = Notes()
        try:
            if kind is None:
                msgspec.json.decode(row.data)
                raise Refused("It is no record of a feed we know: OSV, NVD 2.0, CISA KEV, or curated.")
            found = _READERS[kind](row.data, notes)  # type: ignore[index]  # `read` looked at what was given
        except Refused as error:
            yield Skipped(row.where, str(error))
        except UNREADABLE as error:
            yield Skipped(row.where, _why(error))
        else:
            self._kinds.add(kind)
            where = f"{row.where} ({found.id})"
            for reason in notes.reasons:
                yield Skipped(where, reason)
            if kind == "curated":
                self._keep(found, len(row.data))
            elif found.id in self._seen:
                yield Skipped(where, "The file has another record of this id before it.")
            else:
                self._count(found.id)
                yield found

    def _count(self, name: str) -> None:
        self._seen.add(name)
        if len(self._seen) > _MOST_RECORDS:
            raise Malformed(f"The file has more than {_MOST_RECORDS:,} records.")

    def _keep(self, found: Advisory, size: int) -> None:
        self._kept += size
        if self._kept > _MOST_CURATED:
            raise Malformed(f"The curated records of the file have more than {_MOST_CURATED:,} bytes.")
        self._curated.setdefault(found.id, []).append(found)

    def _merged(self) -> Iterator[Advisory | Skipped]:
        for name, found in self._curated.items():
            try:
                yield curated.merged(found)
            except Refused as error:
                yield Skipped(name, str(error))


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "It is nested too deeply."
    if isinstance(error, UnicodeError):
        return "It is not UTF-8."
    return f"It cannot be read: {error}."


def survey(folder: Path) -> list[tuple[Path, FeedKind | None]]:
    """Search `folder` and what is below it for feeds; return them sorted by path, with what they hold.

    None for a kind says that the file cannot be read (`read` says why). What is no feed is not listed, and neither is
    what is hidden or still being copied (names that begin with "." or end with ".part" or ".tmp"). Links are not
    followed. Malformed when there are too many files to look at.
    """
    found: list[tuple[Path, FeedKind | None]] = []
    for path in _files(folder, _MOST_DEPTH, [_MOST_FILES]):
        try:
            if kind := _recognised(path):
                found.append((path, kind))
        except NoFeed:
            continue
        except Malformed:
            found.append((path, None))
    return found


def _files(folder: Path, depth: int, left: list[int]) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise Malformed(f"The folder {shown(folder.name)} cannot be read: {error.strerror}.") from error
    for path in inside:
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            if depth:
                yield from _files(path, depth - 1, left)
        elif _named_like_a_feed(path.name):
            left[0] -= 1
            if left[0] < 0:
                raise Malformed(f"The folder has more than {_MOST_FILES:,} files to look at.")
            yield path


def _named_like_a_feed(name: str) -> bool:
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return name.endswith(_SUFFIXES)


def _recognised(path: Path) -> FeedKind | None:
    left = _MOST_LOOKS
    with open_parts(path, LIMITS) as parts:
        for part in parts:
            for found in records(part) if part.name == "" or part.name.endswith(_SUFFIXES) else ():
                if isinstance(found, Row) and (kind := recognise(found.data)):
                    return kind
                left -= 1
                if not left:
                    return None
    return None
