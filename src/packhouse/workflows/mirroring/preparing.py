"""The records a plan takes in, from the upstream's text to what the catalogue keeps, a batch at a time.

A process of its own for this, beside the writer, was tried and saved nothing: handing the records over costs as much
as parsing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packhouse.catalog.mirrors.holdings import Incoming
from packhouse.formats.base import Malformed
from packhouse.workflows.mirroring.intake import prepare
from packhouse.workflows.mirroring.plan import Plan
from packhouse.workflows.mirroring.upstream import Source


class Task(NamedTuple):
    """One record to take in: its file name, the entry there, and whether that one is of somebody else."""

    filename: str
    entry_id: int | None
    foreign: bool


def tasks(found: Plan) -> list[Task]:
    """Return the records a plan takes in or compares, those of one name together."""
    todo = [Task(filename, None, False) for filename in found.add]
    todo += [Task(known.filename, known.id, False) for known in found.update]
    todo += [Task(known.filename, known.id, True) for known in found.foreign]
    return sorted(todo, key=lambda task: task.filename)


def prepared(source: Source, part: Sequence[Task]) -> tuple[list[Incoming], list[tuple[str, str]]]:
    """Return the records ready for the catalogue, and (file name, reason) of those no index can carry."""
    batch: list[Incoming] = []
    refused: list[tuple[str, str]] = []
    for task in part:
        signature = source.signatures.get(task.filename)
        raw = source.files[task.filename]
        try:
            batch.append(prepare(source.partition, task.filename, raw, signature, task.entry_id, foreign=task.foreign))
        except Malformed as fault:
            refused.append((task.filename, str(fault)))
    return batch, refused
