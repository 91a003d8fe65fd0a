"""What the index should show of some names, as the catalogue says it now; nothing is written.

Drafts are made inside the unit of work that publishes them, or ahead of it: then the dirty rows they answer tell, when
they are published, of which names anything has changed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.workflows.indexing import store
from packhouse.workflows.indexing.rendering import render
from packhouse.workflows.indexing.store import Part
from packhouse.workflows.indexing.summarising import summarise

#: names, and about so many bytes of parts, that are drafted ahead at a time: what one short transaction can write
NAMES = 100
BYTES = 1 << 20
#: names whose rows are read at a time at most
STEP = 25

#: id, partition and name of a row that waits
Waiting = tuple[int, str, str]


class Draft(msgspec.Struct):
    """What is to be shown of one name, in the partitions in which it waits."""

    name: str
    answered: list[int]  #: the dirty rows that ask for it
    parts: dict[str, Part | None]  #: by partition; None: nothing of it is visible
    packages: dict[str, dict[str, Any]]  #: family → derived columns of the package row, where anything is visible


async def draft(reader: Reader, channel_id: int, waiting: Sequence[Waiting]) -> list[Draft]:
    """Return a draft of each name that waits, in the partitions that these rows say, by name."""
    drafts = {name: Draft(name, [], {}, {}) for name in sorted({name for _, _, name in waiting})}
    partitions = {partition for _, partition, _ in waiting}
    files = await store.files_of(reader, channel_id, drafts, partitions)
    rows = {key: some for name in files.values() for key, some in store.by_partition(name).items()}
    for number, partition, name in waiting:
        drafts[name].answered.append(number)
        if partition not in drafts[name].parts:
            drafts[name].parts[partition] = render(rows.get((partition, name), ()))
    for (family, name), said in (await summarise(reader, files.values())).items():
        drafts[name].packages[family] = said
    return list(drafts.values())


async def draft_ahead(db: Database, channel_id: int, names: Sequence[str]) -> tuple[list[Draft], Sequence[str]]:
    """Return drafts of those of the names that wait for publishing, and the names that were too much for once."""
    drafts: list[Draft] = []
    done = 0
    for some in in_steps(names, STEP):
        # read before what they ask for: a change in between leaves a row that no draft answers
        waiting = await store.waiting_of(db, channel_id, some)
        drafts += await draft(db, channel_id, waiting)
        done += len(some)
        if sum(_size(part) for one in drafts for part in one.parts.values()) > BYTES:
            break
    return drafts, names[done:]


def in_steps(names: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Yield names, first one and then twice as many each time, up to `most`: one can have thousands of files."""
    at, step = 0, 1
    while at < len(names):
        yield names[at : at + step]
        at, step = at + step, min(2 * step, most)


def _size(part: Part | None) -> int:
    return len(part.shard) + len(part.fragment) if part else 0
