"""The audit trail in files, by a schedule: each goes on where the one before it ended, so that together they are whole.

A file is named by its first event. If a process ends between the file and the note of how far it went, the next one
writes the same file again, with what has happened since.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from packhouse.catalog.audit import runs, store
from packhouse.catalog.audit.runs import Run
from packhouse.core.blobs import open_place
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs.schedule import next_time, validate
from packhouse.core.log import get_logger
from packhouse.core.settings import Settings
from packhouse.workflows.reporting.trail import Head, csv_table, head, json_lines
from packhouse.workflows.services import Services

log = get_logger("packhouse.export")


def check_schedule(settings: Settings) -> None:
    """Raise PackhouseError("bad_request") for a schedule that is none, or one without a place for its files."""
    if not settings.export_cron:
        return
    validate(settings.export_cron)
    if not settings.export_target:
        raise PackhouseError(
            "bad_request",
            f"The setting {settings.origin('export_cron')}, has no place for its files.",
            "Set `export_target`.",
        )


async def export_due(services: Services) -> None:
    """Write a file if it is time to; none if nothing has happened. Raises what a place for files raises."""
    settings, db = services.settings, services.db
    if not settings.export_cron or (before := await runs.last(db)) is None:
        return
    if next_time(settings.export_cron, before.at) > await db.now():
        return
    end = await head(db, services.sealer)
    name = ""
    if await runs.anything(db, before.upto, end.seq):
        name = f"events-{before.upto + 1:012}.{'csv' if settings.export_format == 'csv' else 'jsonl'}"
        await _write(services, name, await head(db, services.sealer, before.upto), end)
    await db.write(partial(_note, before, end.seq if name else before.upto, name))
    if name:
        log.info("the audit trail was exported", file=name)


async def _write(services: Services, name: str, start: Head, end: Head) -> None:
    settings = services.settings
    lines = csv_table if settings.export_format == "csv" else json_lines
    place = open_place(
        settings.export_target,
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        region=settings.s3_region,
    )
    growing = _spool(settings) / name
    try:
        with growing.open("wb") as file:
            async for some in lines(services.db, start, {}, end):
                file.write(some)
        await place.put(name, growing)
    finally:
        growing.unlink(missing_ok=True)


def _spool(settings: Settings) -> Path:
    folder = settings.data_dir / "spool" / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _note(before: Run, upto: int, name: str, unit: Unit) -> None:
    now = await runs.last(unit)
    if now is None or now.upto != before.upto:
        return  # another process was there first
    await runs.add(unit, upto, name)
    if name:
        data = {"first": before.upto + 1, "last": upto, "file": name}
        await store.record_event(unit, type="events_exported", actor="system", object="events", data=data)
