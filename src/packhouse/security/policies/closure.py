"""The dependency closure both ways: what selected files need, and what can no longer be installed."""

from __future__ import annotations

import numpy as np

from packhouse.security.policies.batch import Bools, Ints
from packhouse.security.policies.demands import Demands


def needed_by(demands: Demands, start: Bools, allowed: Bools) -> Bools:
    """Return the allowed files that the `start` files need, directly or not, and the start files themselves.

    Every build that satisfies a dependency comes along, so that pinned environments keep solving.
    """
    reached, rows = start.copy(), np.flatnonzero(start)
    asked = np.zeros(len(demands), np.bool_)
    while len(rows):
        new = demands.of(rows)
        new = new[~asked[new]]
        asked[new] = True
        rows = np.flatnonzero(demands.providers(new) & allowed & ~reached)
        reached[rows] = True
    return reached


def broken(demands: Demands, before: Bools, after: Bools, kept: Bools | None = None) -> tuple[Ints, tuple[str, ...]]:
    """Return which files of `after` cannot be installed any more, and for each the dependency it misses.

    Those of `kept` may be seen nevertheless, and so do not take away what they provide.

    A dependency is missing when files of `before` satisfied it and none that is left does. What breaks takes away what
    it provided, to the fixed point. A dependency that nobody here ever offered may come from another channel.
    """
    names, left = demands.batch.name.codes, after.copy()
    missing = np.full(len(after), -1)  # the demand, by file
    gone = np.flatnonzero(before & ~after)
    while len(gone):
        asked = demands.about(names[gone])
        lost = asked[~demands.met(asked, left)]
        lost = lost[demands.met(lost, before)]
        rows, why = demands.users(lost)
        new = after[rows] & (missing[rows] < 0)
        gone, at = np.unique(rows[new], return_index=True)
        missing[gone] = why[new][at]
        gone = gone if kept is None else gone[~kept[gone]]
        left[gone] = False
    found = np.flatnonzero(missing >= 0)
    return found, tuple(map(demands.spec, missing[found].tolist()))
