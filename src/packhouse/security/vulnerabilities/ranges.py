"""Ranges of versions as OSV writes them, compiled into intervals of keys to look up in a sorted list.

The meaning is that of OSV ("Evaluation", ossf.github.io/osv-schema): events are sorted by version, whatever their
order in the file, and walked; `introduced` turns affected on, `fixed` turns it off at its version, `last_affected`
after it; "0" comes before all; versions from the highest `limit` on are out. Where OSV leaves it open:

- `introduced` and `fixed` at the same version cancel each other: `[1, 2) [2, 3)` has no hole at 2, and `[2, 2)` alone
  is empty. Real advisories have both.
- A range that is never introduced is affected from the beginning. (OSV requires the event.)
- Of bounds that nobody can read, `introduced` counts as "0" and the others as not there: the range is rather too wide
  than too narrow. A range of which nothing reads is none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from packhouse.security.vulnerabilities.advisory import Event
from packhouse.security.vulnerabilities.orders import Key, Scale

Range = tuple[Event, ...]

_BEGINNING = Event("introduced", "0")
_NO_LIMIT = Event("limit", "*")


class Interval(NamedTuple):
    """Affected versions from `low` on, below `high`, or up to it when `closed`. None is no bound."""

    low: Key | None
    high: Key | None
    closed: bool
    introduced: Event  #: what the bounds stand for in the advisory
    end: Event | None

    def span(self, keys: Sequence[Key]) -> tuple[int, int]:
        """Return the slice of sorted `keys` that is inside."""
        start = 0 if self.low is None else bisect_left(keys, self.low)
        if self.high is None:
            return start, len(keys)
        return start, max(start, (bisect_right if self.closed else bisect_left)(keys, self.high))


class Line:
    """All ranges of one package on one scale, and the versions that fix it."""

    def __init__(self, ranges: Iterable[Range], scale: Scale) -> None:
        known = list(ranges)
        self.intervals = [interval for one in known for interval in intervals(one, scale)]
        self._fixes, self._texts = self._fixed(known, scale)

    def _fixed(self, ranges: list[Range], scale: Scale) -> tuple[list[Key], list[str]]:
        """Return the fixed versions, sorted, with their spelling, but for those that another range has affected."""
        texts = {
            key: event.version
            for one in ranges
            for event in one
            if event.kind == "fixed" and (key := scale.read(event.version)) is not None
        }
        keys = sorted(texts)
        good = bytearray(b"\1") * len(keys)
        for interval in self.intervals:
            start, stop = interval.span(keys)
            good[start:stop] = bytes(stop - start)
        fixes = [key for key, fine in zip(keys, good, strict=True) if fine]
        return fixes, [texts[key] for key in fixes]

    def fixed_after(self, key: Key) -> str | None:
        """Return the nearest fixed version above `key`."""
        at = bisect_right(self._fixes, key)
        return self._texts[at] if at < len(self._texts) else None

    def fixed_in(self, interval: Interval) -> str | None:
        """Return the nearest fixed version above every version of `interval`."""
        at = len(self._fixes) if interval.high is None else bisect_left(self._fixes, interval.high)
        return self._texts[at] if at < len(self._texts) else None


def reads(events: Range, scale: Scale) -> bool:
    """Say whether `scale` reads every bound of a range."""
    return all(scale.read(event.version) is not None for event in events if not _unbounded(event))


def is_everything(events: Range) -> bool:
    """Say whether a range has no bounds at all, so that it holds versions that nobody can read."""
    return _BEGINNING in events and all(map(_unbounded, events))


def intervals(events: Range, scale: Scale) -> list[Interval]:
    """Compile one range into disjoint intervals, from the lowest."""
    if not any(event == _BEGINNING or scale.read(event.version) is not None for event in events):
        return []
    turns = [turn for event in events if (turn := _turn(event, scale)) is not None]
    limits = [turn for turn in turns if turn.event.kind == "limit"]
    found = _walk([turn for turn in turns if turn.event.kind != "limit"])
    if not limits or _NO_LIMIT in events:
        return found
    return _below(max(limits, key=_place), found)


class _Turn(NamedTuple):
    """Where an event takes effect: at a key, or just after it. The beginning sorts first."""

    anywhere: bool  #: False only for the beginning
    key: Key
    after: bool
    event: Event


def _unbounded(event: Event) -> bool:
    return event in (_BEGINNING, _NO_LIMIT)


def _turn(event: Event, scale: Scale) -> _Turn | None:
    key = None if event == _BEGINNING else scale.read(event.version)
    if key is None:
        return _Turn(False, None, False, event) if event.kind == "introduced" else None
    after = event.kind == "last_affected"
    return _Turn(True, scale.ceiling(key) if after else key, after, event)


def _walk(turns: list[_Turn]) -> list[Interval]:
    if not turns:
        return []
    opened = None if any(turn.event.kind == "introduced" for turn in turns) else _Turn(False, None, False, _BEGINNING)
    found = []
    for _, group in groupby(sorted(turns, key=_place), key=_place):
        here = list(group)
        kinds = {turn.event.kind == "introduced" for turn in here}
        if len(kinds) == 2:  # both on and off: they cancel each other
            continue
        if kinds == {True}:
            opened = opened or here[0]
        elif opened is not None:
            found.append(Interval(opened.key, here[0].key, here[0].after, opened.event, here[0].event))
            opened = None
    if opened is not None:
        found.append(Interval(opened.key, None, False, opened.event, None))
    return found


def _place(turn: _Turn) -> tuple[bool, Key, bool]:
    return turn[:3]


def _below(limit: _Turn, found: list[Interval]) -> list[Interval]:
    """Cut intervals off at a limit."""
    kept = [one for one in found if one.low is None or one.low < limit.key]
    return [
        one._replace(high=limit.key, closed=False, end=limit.event) if _reaches(one, limit.key) else one for one in kept
    ]


def _reaches(interval: Interval, key: Key) -> bool:
    """Say whether an interval that begins below `key` holds it."""
    return interval.high is None or interval.high > key or (interval.closed and interval.high == key)
