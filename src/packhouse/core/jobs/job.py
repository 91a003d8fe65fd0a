"""A job as it is read back, and how a run of one can end before its time."""

from __future__ import annotations

from typing import Any

import msgspec


class Job(msgspec.Struct, frozen=True):
    """One row of `job`. Times are microseconds since the epoch."""

    id: int
    kind: str
    subject: str
    payload: dict[str, Any]
    state: str
    not_before: int
    attempt: int
    holder: str | None
    heartbeat: int | None
    progress: dict[str, Any]
    error: str
    cancel_requested: bool
    created_at: int
    started_at: int | None
    finished_at: int | None


class RunEnded(Exception):
    """This run of a job must end now. A handler may clean up, then lets it pass."""


class Cancelled(RunEnded):
    """Somebody cancelled the job."""


class LostLease(RunEnded):
    """Another worker has taken the job over, or it has ended: nothing of this run may be written any more."""


class Stopping(RunEnded):
    """This worker shuts down; the job goes back to the queue and another run continues it."""
