"""The dependency closure both ways: what selected files need, and what can no longer be installed."""

from __future__ import annotations

from collections import deque

import numpy as np

from packhouse.core.stopping import checkpoint
from packhouse.security.policies.batch import Batch, Bools, Ints
from packhouse.security.policies.needs import Needs, Providers, about, by_partition, users_of


def needed_by(batch: Batch, needs: Needs, start: Bools, allowed: Bools) -> Bools:
    """Return the allowed files that the `start` files need, directly or not, and the start files themselves.

    Every build that satisfies a dependency comes along, so that pinned environments keep solving.
    """
    providers, reached = Providers(batch), start.copy()
    partitions = len(batch.partition.values)
    asked = np.zeros(0, np.int64)
    rows = np.flatnonzero(start)
    while len(rows):
        at = needs.edges(rows)
        questions = needs.specs.codes[at].astype(np.int64) * partitions + batch.partition.codes[needs.rows[at]]
        questions = np.setdiff1d(questions, asked)
        asked = np.union1d(asked, questions)
        missed = allowed & ~reached
        for question in questions.tolist():
            checkpoint()
            spec, partition = divmod(question, partitions)
            providers.mark(needs.specs.values[spec], batch.partition.values[partition], missed, reached)
        rows = np.flatnonzero(missed & reached)
    return reached


def broken(
    batch: Batch, needs: Needs, before: Bools, after: Bools, kept: Bools | None = None
) -> tuple[Ints, tuple[str, ...]]:
    """Return which files of `after` cannot be installed any more, and for each the dependency it misses.

    Those of `kept` may be seen nevertheless, and so do not take away what they provide.

    A dependency is missing when files of `before` satisfied it and none that is left does. What breaks takes away what
    it provided, to the fixed point. A dependency that nobody here ever offered may come from another channel.
    """
    providers, users, left = Providers(batch), users_of(needs), after.copy()
    specs_of_name = _specs_by_name(batch, needs)
    missing: dict[int, str] = {}
    queue = deque(np.unique(batch.name.codes[before & ~after]).tolist())
    waiting = set(queue)
    while queue:
        name = queue.popleft()
        waiting.discard(name)
        for code in specs_of_name.get(name, ()):
            checkpoint()
            lost = _lost(batch, providers, needs.specs.values[code], users[code], before, left)
            missing.update(dict.fromkeys(lost.tolist(), needs.specs.values[code]))
            lost = lost if kept is None else lost[~kept[lost]]
            left[lost] = False
            for other in set(np.unique(batch.name.codes[lost]).tolist()) - waiting:
                waiting.add(other)
                queue.append(other)
    rows = np.array(sorted(missing), np.int64)
    return rows, tuple(missing[row] for row in rows.tolist())


def _lost(batch: Batch, providers: Providers, spec: str, users: Ints, before: Bools, left: Bools) -> Ints:
    """Return the users of a spec that have lost it."""
    lost = [np.zeros(0, np.int64)]
    for partition, rows in by_partition(batch, users[left[users]]).items():
        if not providers.any(spec, partition, left) and providers.any(spec, partition, before):
            lost.append(rows)
    return np.concatenate(lost)


def _specs_by_name(batch: Batch, needs: Needs) -> dict[int, list[int]]:
    """Return the specs, by code, that are about each package here, by its number."""
    numbers = {name: number for number, name in enumerate(batch.name.values)}
    found: dict[int, list[int]] = {}
    for code, spec in enumerate(needs.specs.values):
        if (number := about(batch.family, spec, numbers)) is not None:
            found.setdefault(number, []).append(code)
    return found
