"""A feed read once to its end, before anything is written: its advisories lie encoded in a file without a name."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from packhouse.core.blobs.spool import finish_in_thread
from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Malformed
from packhouse.security.vulnerabilities.advisory import Advisory, Said
from packhouse.security.vulnerabilities.feeds import Skipped, read
from packhouse.security.vulnerabilities.statements import check, statements_of
from packhouse.workflows.feeding.turn import Turn

#: records read before others may run
BATCH = 500


class Place(NamedTuple):
    """Where in the spool an advisory lies."""

    offset: int
    length: int
    digest: bytes
    modified_at: int


class Spool:
    """What a feed says now: by the source's id, the digest and the place of each encoded advisory."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self._size = 0
        self.places: dict[str, Place] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, one: Advisory) -> bool:
        """Keep an advisory. False: it is older than, or the second of the same age as, the one of that id."""
        before, modified_at = self.places.get(one.id), one.modified_at or 0
        body = msgspec.msgpack.encode(one)
        if before is None or modified_at > before.modified_at:
            self.places[one.id] = Place(self._size, len(body), hashlib.sha256(body).digest(), modified_at)
            self._size += self._file.write(body)
        return before is None

    def seal(self) -> None:
        """Say that everything was added: bodies can be read from now on."""
        self._file.flush()

    def body(self, source_id: str) -> bytes:
        """Return an encoded advisory."""
        place = self.places[source_id]
        return os.pread(self._file.fileno(), place.length, place.offset)


async def read_into(turn: Turn, spool: Spool, paths: Sequence[Path]) -> None:
    """Read all files to their end. Raises PackhouseError("upstream_failed") for a feed that nothing is taken from."""
    kind, counts = turn.feed.kind or None, turn.progress.counts
    kinds: set[str] = set()
    found = chain.from_iterable(read(path, kind, kinds) for path in paths)
    while True:
        try:
            batch = await finish_in_thread(lambda: list(islice(found, BATCH)))
            _take(turn, spool, batch)
            spool.seal()
        except Malformed as fault:
            raise _unusable(f"it cannot be read to its end. {fault}") from None
        except OSError as fault:
            raise _unusable(f"it cannot be read to its end: {fault.strerror}.") from None
        await turn.show()
        if len(batch) < BATCH:
            break
    counts.read = len(spool.places)
    if counts.skipped > counts.read:
        first = f" The first: {turn.progress.skips[0].reason}" if turn.progress.skips else ""
        raise _unusable(f"{counts.skipped:,} of its records are unusable, and only {counts.read:,} are not.{first}")
    if not counts.read and not turn.progress.accept_shrink:
        raise _unusable("there is no advisory in it.")
    turn.progress.kind = kinds.pop() if len(kinds) == 1 else ""


def _take(turn: Turn, spool: Spool, batch: Sequence[Advisory | Skipped]) -> None:
    counts = turn.progress.counts
    for one in batch:
        if isinstance(one, Skipped):
            turn.skip(one.where, one.reason)
            # of a record whose rest was read, `where` ends with the name of its advisory in brackets
            counts.skipped += not one.where.endswith(")")
            continue
        said = tuple(_usable(turn, one))
        if not spool.add(one if said == one.said else msgspec.structs.replace(one, said=said)):
            turn.skip(one.id, "There are two records of this id; the later one counts.")
    counts.read = len(spool.places)


def _usable(turn: Turn, one: Advisory) -> Iterator[Said]:
    """Give the statements that can be obeyed."""
    for said in one.said:
        try:
            for statement in statements_of(msgspec.structs.replace(one, said=(said,)), turn.feed.name, 0):
                check(statement)
        except PackhouseError as fault:
            turn.skip(one.id, fault.message)
        else:
            yield said


def _unusable(why: str) -> PackhouseError:
    return PackhouseError("upstream_failed", f"Nothing was taken from the feed: {why}", "What it said before holds.")
