"""What a worker does with jobs: take one, keep it, end it or give it back.

Every change names the attempt it belongs to and finds no row once another worker has taken the job over; that is
the whole fence. It works because the check and the rows it guards are in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, case, func, literal_column, or_, select, update

from packhouse.core.clock import SECOND
from packhouse.core.db import Database, Row, Unit, any_of
from packhouse.core.jobs.tables import job

#: a job that killed this many workers in a row, none of which got it any further, is not given to another one
MAX_LOSSES = 10

_RUNNING: ColumnElement[str] = literal_column("'running'")
_now: BindParameter[int] = bindparam("now")
_ready = and_(
    job.c.finished_at.is_(None),
    any_of(job.c.kind, "kinds"),
    or_(
        and_(job.c.state == literal_column("'queued'"), job.c.not_before <= _now),
        and_(job.c.state == _RUNNING, job.c.lease_until <= _now),
    ),
)
_READY = select(job.c.id).where(_ready).limit(literal_column("1"))
_CLAIM = (
    update(job)
    .where(
        job.c.id
        == select(job.c.id)
        .where(_ready)
        .order_by(job.c.not_before, job.c.id)
        .limit(literal_column("1"))
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        state=_RUNNING,
        run_attempt=job.c.run_attempt + literal_column("1"),
        losses=job.c.losses + case((job.c.state == _RUNNING, literal_column("1")), else_=literal_column("0")),
        holder=bindparam("holder"),
        lease_until=bindparam("until"),
        heartbeat=_now,
        started_at=func.coalesce(job.c.started_at, _now),
    )
    .returning(
        job.c.id, job.c.kind, job.c.subject, job.c.payload, job.c.run_attempt, job.c.progress, job.c.cancel_requested,
        job.c.losses,
    )
)  # fmt: skip
_MINE = "WHERE id = :id AND run_attempt = :attempt AND state = 'running'"
_RENEW = f"UPDATE job SET lease_until = :until, heartbeat = :now {_MINE} RETURNING losses"  # noqa: S608  # constants only
_REPORT = f"UPDATE job SET progress = :progress {_MINE}"  # noqa: S608  # constants only
_FORGET_LOSSES = f"UPDATE job SET losses = 0 {_MINE}"  # noqa: S608  # constants only
_FINISH = f"""
    UPDATE job SET state = :state, error = :error, finished_at = :now, lease_until = NULL {_MINE}
"""  # noqa: S608  # constants only
_GIVE_BACK = f"""
    UPDATE job SET state = 'queued', error = :error, not_before = :not_before, lease_until = NULL {_MINE}
"""  # noqa: S608  # constants only
_WATCH = select(job.c.id, job.c.run_attempt, job.c.state, job.c.cancel_requested).where(any_of(job.c.id, "ids"))


class Claim(msgspec.Struct, frozen=True):
    """A job that was just taken, and the attempt it was taken as."""

    id: int
    kind: str
    subject: str
    payload: dict[str, Any]
    attempt: int
    progress: dict[str, Any]
    cancel_requested: bool
    losses: int


async def ready(db: Database, kinds: list[str]) -> bool:
    """Say whether a job of these kinds waits to be taken: a look that writes nothing."""
    return await db.fetch_value(_READY, kinds=kinds, now=await db.now()) is not None


async def claim(unit: Unit, kinds: list[str], holder: str, seconds: float) -> Claim | None:
    """Take the job that has waited longest: a queued one, or a running one whose worker let the lease run out."""
    row = await unit.fetch_one(_CLAIM, kinds=kinds, holder=holder, now=unit.now, until=_until(unit, seconds))
    return _claim(row) if row else None


def _claim(row: Row) -> Claim:
    job_id, kind, subject, payload, attempt, progress, cancel_requested, losses = row
    return Claim(
        job_id, kind, subject, msgspec.json.decode(payload), attempt, msgspec.json.decode(progress),
        bool(cancel_requested), losses,
    )  # fmt: skip


def _until(unit: Unit, seconds: float) -> int:
    return unit.now + int(seconds * SECOND)


async def renew(unit: Unit, job_id: int, attempt: int, seconds: float) -> int | None:
    """Hold the job for `seconds` from now and return its losses; None: this attempt is over.

    Locks the row until the unit has ended.
    """
    row = await unit.fetch_one(_RENEW, id=job_id, attempt=attempt, now=unit.now, until=_until(unit, seconds))
    return row[0] if row else None


async def report(unit: Unit, job_id: int, attempt: int, progress: dict[str, Any]) -> bool:
    """Store the progress; False: this attempt is over."""
    text = msgspec.json.encode(progress).decode()
    return await unit.execute(_REPORT, id=job_id, attempt=attempt, progress=text) == 1


async def forget_losses(unit: Unit, job_id: int, attempt: int) -> None:
    """Say that the job got further: workers that died before do not count any more."""
    await unit.execute(_FORGET_LOSSES, id=job_id, attempt=attempt)


async def finish(unit: Unit, job_id: int, attempt: int, state: str, error: str = "") -> bool:
    """End the job as done, failed or cancelled; False: this attempt is over already."""
    return await unit.execute(_FINISH, id=job_id, attempt=attempt, state=state, error=error, now=unit.now) == 1


async def give_back(unit: Unit, job_id: int, attempt: int, *, seconds: float = 0, error: str = "") -> bool:
    """Return the job to the queue, not to be run for `seconds`; False: this attempt is over already."""
    return (
        await unit.execute(_GIVE_BACK, id=job_id, attempt=attempt, not_before=_until(unit, seconds), error=error) == 1
    )


async def watch(db: Database, ids: Iterable[int]) -> dict[int, tuple[int, bool]]:
    """Return, for those of the jobs that still run, the attempt that runs and whether it should be cancelled."""
    rows = await db.fetch_all(_WATCH, ids=list(ids))
    return {row[0]: (row[1], bool(row[3])) for row in rows if row[2] == "running"}
