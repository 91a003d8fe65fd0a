"""Feeds on the wire. Secrets are never in it. Times are RFC 3339."""

from __future__ import annotations

import msgspec

from packhouse.catalog.vulnerabilities.feeds import Counts, Feed, Skip
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import FeedKind, FeedState


class FeedProgress(msgspec.Struct, kw_only=True):
    """How the last run goes or went."""

    total_steps: int
    step: int
    percentage: int  #: of the step
    description: str
    reason: str  #: why the last run failed; empty when it did not
    counts: Counts
    skips: list[Skip]  #: what was passed over; of many the first
    asks: str  #: `shrink` when a run stopped and waits for an administrator's yes


class FeedShape(msgspec.Struct, kw_only=True):
    """A feed of advisories."""

    name: str
    source: str
    kind: FeedKind | None  #: as asked for, else of what was read last; null: nothing yet, or of several kinds
    enabled: bool
    every_seconds: int
    state: FeedState
    progress: FeedProgress
    last_run_at: str | None
    last_success_at: str | None
    no_data_since: str | None  #: it was never read since then; null: it was read at `last_success_at`
    next_run_at: str | None
    created_at: str
    updated_at: str


def feed_shape(feed: Feed) -> FeedShape:
    """Fill the shape of a feed; what only the next run must know is left out."""
    return FeedShape(
        name=feed.name,
        source=feed.source,
        kind=feed.shown_kind or None,
        enabled=feed.enabled,
        every_seconds=feed.every_seconds,
        state=feed.state,
        progress=FeedProgress(**{name: getattr(feed.progress, name) for name in FeedProgress.__struct_fields__}),
        last_run_at=to_iso(feed.last_run_at),
        last_success_at=to_iso(feed.last_success_at),
        no_data_since=to_iso(feed.created_at) if feed.last_success_at is None else None,
        next_run_at=to_iso(feed.next_run_at),
        created_at=to_iso(feed.created_at) or "",
        updated_at=to_iso(feed.updated_at) or "",
    )
