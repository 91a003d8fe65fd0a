"""Packages that could not be judged, by a fault of ours: each rests before it is tried again, longer every time.

It is known to one process, so that a new one, which may be of a release without that fault, tries them at once.
"""

from __future__ import annotations

from packhouse.core.clock import monotonic

#: how long a package rests after it failed once, in seconds; twice as long after each further time, up to the longest
FIRST, LONGEST = 1.0, 300.0


class Setbacks:
    """Which packages failed, how long they rest, and until when."""

    def __init__(self) -> None:
        self._resting: dict[tuple[str, str], tuple[float, float]] = {}

    def failed(self, family: str, name: str) -> None:
        """Let a package rest."""
        rest = min(2 * self._resting[family, name][0], LONGEST) if (family, name) in self._resting else FIRST
        self._resting[family, name] = rest, monotonic() + rest

    def over(self, family: str, name: str) -> None:
        """Forget what was of a package that could be judged."""
        self._resting.pop((family, name), None)

    def rests(self, family: str, name: str) -> bool:
        """Say whether a package is not to be tried yet."""
        return (family, name) in self._resting and monotonic() < self._resting[family, name][1]
