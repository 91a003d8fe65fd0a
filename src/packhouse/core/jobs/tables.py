"""The table of jobs. It lies in the catalogue's own database, so that a job and what it is about commit together."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from packhouse.core.db.types import METADATA, Json, Micros, serial

job = Table(
    "job",
    METADATA,
    serial(),
    Column("kind", Text, nullable=False),  # which handler runs it
    Column("subject", Text, nullable=False),  # what it is about; one live job for each (kind, subject)
    Column("payload", Json, nullable=False),
    Column("state", Text, nullable=False),  # queued | running | done | failed | cancelled
    Column("not_before", Micros, nullable=False),
    Column("run_attempt", Integer, nullable=False),  # grows each time a worker takes the job: the fence
    Column("losses", Integer, nullable=False),  # how many workers died of it since it got further
    Column("holder", Text),  # the worker that runs it, or ran it last
    Column("lease_until", Micros),  # set while it runs; once past, any worker may take the job over
    Column("heartbeat", Micros),
    Column("progress", Json, nullable=False),
    Column("error", Text, nullable=False),  # for people; never holds a secret
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("started_at", Micros),
    Column("finished_at", Micros),  # null: live
)
_LIVE = job.c.finished_at.is_(None)
Index("uq_job_live", job.c.kind, job.c.subject, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)
Index("ix_job_subject", job.c.kind, job.c.subject, job.c.id)
