"""What everybody does with jobs: submit, cancel, look at progress, list, forget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from packhouse.core.db import Database, Row, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs.job import Job
from packhouse.core.jobs.tables import job

_COLUMNS = (
    "id, kind, subject, payload, state, not_before, run_attempt, holder, heartbeat, progress, error, "
    "cancel_requested, created_at, started_at, finished_at"
)
# On conflict the row is touched, not skipped: so it is returned, and stays live until the caller's unit has ended.
_SUBMIT = """
    INSERT INTO job (kind, subject, payload, state, not_before, run_attempt, losses, progress, error,
                     cancel_requested, created_at)
    VALUES (:kind, :subject, :payload, 'queued', :not_before, 0, 0, '{}', '', FALSE, :now)
    ON CONFLICT (kind, subject) WHERE finished_at IS NULL DO UPDATE
    SET not_before = CASE WHEN excluded.not_before < job.not_before THEN excluded.not_before ELSE job.not_before END
    RETURNING id, cancel_requested
"""
_CANCEL = """
    UPDATE job SET cancel_requested = TRUE,
                   finished_at = CASE WHEN state = 'queued' THEN CAST(:now AS BIGINT) END,
                   state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
    WHERE finished_at IS NULL AND {which} RETURNING state
"""
_CANCEL_ID = _CANCEL.format(which="id = :id")
_CANCEL_SUBJECT = _CANCEL.format(which="kind = :kind AND subject = :subject")
_HOLD = (
    select(job.c.id)
    .where(job.c.kind == bindparam("kind"), job.c.subject == bindparam("subject"), job.c.finished_at.is_(None))
    .with_for_update()
)
_PROGRESS = f"SELECT {_COLUMNS} FROM job WHERE id = :id"  # noqa: S608  # constants only
_LIST = f"SELECT {_COLUMNS} FROM job WHERE id < :before{{filters}} ORDER BY id DESC LIMIT :limit"  # noqa: S608  # same
_FORGET = """
    DELETE FROM job WHERE id IN (SELECT id FROM job WHERE finished_at < :before ORDER BY id LIMIT :limit)
"""


async def submit(
    unit: Unit, kind: str, subject: str, payload: Mapping[str, Any], *, not_before: int | None = None
) -> int:
    """Queue a job within the caller's unit of work and return its id; not to be run before `not_before` (µs).

    A subject has at most one live job of a kind: a second submit returns the live one, keeps its payload, and only
    moves it forward to an earlier `not_before`. A job that runs already may have read the state before the caller's
    change, so handlers look for work once more before they end, and what must not wait is re-scanned.
    Raises PackhouseError("conflict") while the live one is being cancelled.
    """
    start = unit.now if not_before is None else not_before
    text = msgspec.json.encode(payload).decode()
    row = await unit.fetch_one(_SUBMIT, kind=kind, subject=subject, payload=text, not_before=start, now=unit.now)
    if row is None:
        raise AssertionError("RETURNING gave no row")
    if row[1]:
        raise PackhouseError(
            "conflict", "The run before this one is still being cancelled.", "Try again shortly.", retry_after=2
        )
    return int(row[0])


async def cancel(unit: Unit, which: int | tuple[str, str]) -> str | None:
    """Cancel a live job, named by its id or by (kind, subject).

    Returns "cancelled" when it ended at once (it had not begun), "running" when its worker was asked to end it, and
    None when there is no such live job.
    """
    if isinstance(which, int):
        return await unit.fetch_value(_CANCEL_ID, id=which, now=unit.now)  # type: ignore[no-any-return]  # a column
    kind, subject = which
    return await unit.fetch_value(  # type: ignore[no-any-return]  # a column
        _CANCEL_SUBJECT, kind=kind, subject=subject, now=unit.now
    )


async def hold(unit: Unit, kind: str, subject: str) -> None:
    """Let nobody run, end or cancel the live job, if there is one, before the unit has ended."""
    await unit.fetch_one(_HOLD, kind=kind, subject=subject)


async def progress(db: Database | Unit, job_id: int) -> Job | None:
    """Return the job with its latest progress, or None."""
    row = await db.fetch_one(_PROGRESS, id=job_id)
    return _job(row) if row else None


async def list_jobs(
    db: Database | Unit,
    *,
    kind: str | None = None,
    subject: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Job]:
    """Return the newest jobs that match all filters given; the next page has `before` = the last id of this one."""
    filters = {"kind": kind, "subject": subject, "state": state}
    given = {name: value for name, value in filters.items() if value is not None}
    statement = _LIST.format(filters="".join(f" AND {name} = :{name}" for name in given))
    rows = await db.fetch_all(statement, before=2**62 if before is None else before, limit=limit, **given)
    return [_job(row) for row in rows]


async def forget(unit: Unit, before: int, limit: int = 2000) -> int:
    """Delete at most `limit` jobs that ended before the moment `before` (µs), oldest first; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


def _job(row: Row) -> Job:
    values = list(row)
    values[3], values[9] = msgspec.json.decode(values[3]), msgspec.json.decode(values[9])
    values[11] = bool(values[11])
    return Job(*values)
