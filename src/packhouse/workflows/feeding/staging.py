"""What a feed says next is prepared in rows that no reader takes, in small units, and then said all at once.

The difference is to what the rows would say if the run ended now. So a run continues what a killed one prepared, and
undoes what it should not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from packhouse.catalog.vulnerabilities import advisories
from packhouse.catalog.vulnerabilities.advisories import HeldRow, Staged
from packhouse.core.blobs.spool import finish_in_thread
from packhouse.core.db import Unit
from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.workflows.feeding.reading import Spool
from packhouse.workflows.feeding.turn import Turn

#: rows, and about how many bytes of text, of one unit
BATCH, BATCH_BYTES = 500, 1 << 20
_decode = msgspec.msgpack.Decoder(Advisory).decode
T = TypeVar("T")


class Difference(NamedTuple):
    """What is to be done so that the next run of a feed says what it should."""

    remove: list[int]  #: prepared rows that should not be
    keep: list[int]  #: rows that were to end and should not
    end: list[int]
    add: list[str]  #: by the source's id
    added: int  #: advisories that are new to readers
    changed: list[HeldRow]  #: as they are for readers until then
    ended: int
    before: int  #: how many there are for readers

    @property
    def telling(self) -> bool:
        """Whether readers will see anything else than before."""
        return bool(self.added or self.changed or self.ended)


def difference(held: Sequence[HeldRow], wanted: Mapping[str, bytes] | None, run: int) -> Difference:
    """Compare the rows of a feed at `run` with what it says next: the digests by id; None: what it says now."""
    now = {row.source_id: row for row in held if row.from_run <= run}
    prepared = {row.source_id: row for row in held if row.from_run > run}
    target = {name: row.digest for name, row in now.items()} if wanted is None else wanted
    remove: list[int] = []
    keep: list[int] = []
    end: list[int] = []
    add: list[str] = []
    for name in sorted(now.keys() | prepared.keys() | target.keys()):
        old, new, digest = now.get(name), prepared.get(name), target.get(name)
        stays = old is not None and old.digest == digest
        ready = new is not None and not stays and new.digest == digest
        if new is not None and not ready:
            remove.append(new.id)
        if old is not None and stays != (old.to_run is None):
            (keep if stays else end).append(old.id)
        if digest is not None and not stays and not ready:
            add.append(name)
    changed = [row for name, row in now.items() if target.get(name, row.digest) != row.digest]
    return Difference(
        remove, keep, end, add, len(target.keys() - now.keys()), changed, len(now.keys() - target.keys()), len(now)
    )


async def silenced(turn: Turn, spool: Spool, found: Difference) -> int:
    """Return how many advisories that are still there say no more, other than before, that anything is affected."""

    def quiet() -> list[int]:
        return [row.id for row in found.changed if not _speaks(_decode(spool.body(row.source_id)))]

    count = 0
    for ids in batches(await finish_in_thread(quiet)):
        count += sum(_speaks(_decode(body)) for body in await advisories.bodies(turn.services.db, ids))
    return count


def _speaks(one: Advisory) -> bool:
    if one.withdrawn_at is not None:
        return False
    return one.known_exploited or bool(one.said) or any(among.ranges or among.versions for among in one.affected)


async def stage(turn: Turn, spool: Spool | None, found: Difference) -> None:
    """Prepare the rows of the next run. What should not be there goes first: its place may be needed."""
    feed, following = turn.feed, turn.feed.run + 1
    total, done = max(len(found.remove) + len(found.keep) + len(found.end) + len(found.add), 1), 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        turn.progress.percentage = done * 100 // total

    for ids in batches(found.remove):
        count(len(ids))
        await turn.write(partial(advisories.remove, ids=ids))
    for ids in batches(found.keep):
        count(len(ids))
        await turn.write(partial(advisories.keep, ids=ids))
    for ids in batches(found.end):
        count(len(ids))
        await turn.write(partial(advisories.end, ids=ids, run=following))
    for rows in _rows(spool, found.add) if spool else ():

        async def add(unit: Unit, rows: Sequence[Staged] = rows) -> None:
            await advisories.stage(unit, feed.id, following, rows)
            await turn.job.got_further(unit)

        count(len(rows))
        await turn.write(add)


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[list[T]]:
    """Give the items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _rows(spool: Spool, names: Sequence[str]) -> Iterator[list[Staged]]:
    batch: list[Staged] = []
    size = 0
    for name in names:
        body = spool.body(name)
        one = _decode(body)
        about = {(affected.ecosystem, affected.name) for affected in one.affected}
        batch.append(Staged(name, spool.places[name].digest, body, about, one.keys))
        size += len(body)
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
