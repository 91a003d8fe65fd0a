"""What the doors of all formats have in common: how a channel is named, and what may be uploaded to an address."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """Where a file is put by its address."""

    channel: str  #: `ch` or `ch/sub`
    partition: str  #: empty for what no package lies at
    filename: str


def without_label(segments: list[str]) -> list[str]:
    """Return the segments of `CH/label/SUB/…` as those of `CH/SUB/…`, which it means."""
    return [segments[0], *segments[2:]] if len(segments) > 2 and segments[1] == "label" else segments
