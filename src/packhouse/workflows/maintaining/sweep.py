"""Sweep: what nobody owns goes, after a grace period and in small batches.

A content goes in two phases: marked, and after the grace period taken, its bytes deleted, its row dropped.
An upload of the same bytes rescues what is marked, and is asked to come again while they are being deleted. Bytes
without a row, as a crash leaves them, get a marked row and go the same way. One sweep at a time, by a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.packages import contents, leftovers
from packhouse.core import leases
from packhouse.core.blobs import BlobStore
from packhouse.core.clock import DAY, SECOND, monotonic
from packhouse.core.db import Database, Row, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.core.randomness import new_uuid
from packhouse.workflows.maintaining import stored
from packhouse.workflows.services import Services

_log = get_logger(__name__)

#: rows per transaction
BATCH = 1000
#: files deleted at the same time
AT_ONCE = 16
#: a download that a killed process left is kept this long, to be gone on with, in seconds
PARTIAL_SECONDS = 86_400.0
#: how long a sweep that fell silent holds up the next one, in seconds
LEASE = "sweep"
LEASE_SECONDS = 300.0


class Tally(msgspec.Struct):
    """So many of a kind, and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Count rows whose last column is their size."""
        self.count += len(rows)
        self.bytes += sum(int(row[-1] or 0) for row in rows)


class Report(msgspec.Struct):
    """What a sweep did, or with `dry_run` what it would do now."""

    dry_run: bool
    marked: Tally = msgspec.field(default_factory=Tally)  #: contents without an owner, deleted after the grace period
    deleted: Tally = msgspec.field(default_factory=Tally)  #: contents whose grace period was over
    unknown: Tally = msgspec.field(default_factory=Tally)  #: files without a row, marked as well
    records: Tally = msgspec.field(default_factory=Tally)  #: records that no entry shows
    parts: Tally = msgspec.field(default_factory=Tally)  #: pieces of indexes that were never shown
    downloads: int = 0  #: abandoned downloads and uploads; not known beforehand


async def sweep(services: Services, *, dry_run: bool = False, listing: bool = True) -> Report:
    """Mark and delete what nobody owns; `listing` also looks through the whole blob store for unknown files.

    Raises PackhouseError: `conflict` while another sweep is under way, `try_later` when database or store is away.
    """
    now = await services.db.now()
    before = now - services.settings.sweep_grace_seconds * SECOND
    if dry_run:
        return await _look(services, before, before, listing)
    lease = _Lease()
    if not await services.db.write(lease.acquire):
        raise PackhouseError("conflict", "Another sweep is under way.", "Wait for it, then try again.")
    try:
        return await _sweep(services, lease, before, listing)
    finally:
        await services.db.write(lease.release)


async def clean_daily(blobs: BlobStore) -> None:
    """Remove what killed processes left on this node, now and once a day, until cancelled.

    Each process does so, outside the lease: the sweep runs on one node and sees no other node's disk.
    """
    while True:
        try:
            await asyncio.to_thread(blobs.clean_partial, PARTIAL_SECONDS)
        except Exception:  # a disk that is away for a moment must not end it for good
            _log.exception("What killed processes left could not be removed.")
        await asyncio.sleep(DAY / SECOND)


async def diagnose(services: Services) -> Report:
    """Return everything that nobody owns now, whatever its age: `marked` without an owner, `deleted` already doomed."""
    now = await services.db.now() + 1
    return await _look(services, now, now, True)


class _Lease:
    """The right to sweep: every unit that takes something asks whether it is still ours."""

    def __init__(self) -> None:
        self._holder = new_uuid()

    async def acquire(self, unit: Unit) -> bool:
        return await leases.acquire(unit, LEASE, self._holder, LEASE_SECONDS)

    async def fence(self, unit: Unit) -> None:
        if not await leases.renew(unit, LEASE, self._holder, LEASE_SECONDS):
            raise PackhouseError("try_later", "Another process took the sweep over.", "Nothing is lost.")

    async def release(self, unit: Unit) -> None:
        await leases.release(unit, LEASE, self._holder)


async def _look(services: Services, due: int, before: int, listing: bool) -> Report:
    db, report = services.db, Report(dry_run=True)
    async for rows in _pages(lambda after: leftovers.due(db, after, due, BATCH)):
        report.deleted.add(rows)
    async for rows in _pages(lambda after: leftovers.unowned(db, after, before, BATCH)):
        report.marked.add(rows)
    async for rows in _pages(lambda after: leftovers.unused_records(db, after, before, BATCH)):
        report.records.add(rows)
    async for rows in _pages(lambda after: leftovers.unshelved_parts(db, after, BATCH)):
        report.parts.add(rows)
    if listing:
        async for unknown in _unknown(services, before):
            report.unknown.add(unknown)
    return report


async def _sweep(services: Services, lease: _Lease, before: int, listing: bool) -> Report:
    db, report = services.db, Report(dry_run=False)
    await _pardon(db)
    async for rows in _pages(lambda after: leftovers.due(db, after, before, BATCH)):
        await _delete(services, lease, [row[0] for row in rows], before, report)
    async for rows in _pages(lambda after: leftovers.unowned(db, after, before, BATCH)):
        report.marked.add(rows)
        await db.write(partial(leftovers.doom, ids=[row[0] for row in rows], before=before))
    if listing:
        async for unknown in _unknown(services, before):
            report.unknown.add(unknown)
            await db.write(partial(leftovers.adopt, blobs=unknown))
    async for rows in _pages(lambda after: leftovers.unused_records(db, after, before, BATCH)):
        report.records.add(rows)
        await db.write(partial(leftovers.drop_records, ids=[row[0] for row in rows]))
    async for rows in _pages(lambda after: leftovers.unshelved_parts(db, after, BATCH)):
        report.parts.add(rows)
        await db.write(partial(leftovers.drop_parts, ids=[row[0] for row in rows]))
    report.downloads = await asyncio.to_thread(services.blobs.clean_partial, PARTIAL_SECONDS)
    return report


async def _pardon(db: Database) -> None:
    """Take off the list what has an owner again: a copy does not look whether its content is marked."""
    ids = await leftovers.pardonable(db)
    for start in range(0, len(ids), BATCH):
        await db.write(partial(leftovers.pardon, ids=ids[start : start + BATCH]))


async def _pages(page: Callable[[int], Awaitable[list[Row]]]) -> AsyncIterator[list[Row]]:
    """Yield pages of rows that begin with their id, in ascending order, until one is empty."""
    after = 0
    while rows := await page(after):
        yield rows
        after = rows[-1][0]


async def _unknown(services: Services, before: int) -> AsyncIterator[list[tuple[str, int]]]:
    """Yield batches of (SHA-256, size) of files in the store since before a time that the catalogue does not know.

    Younger ones most likely are on their way into it: an upload or a mirror's batch registers them in a moment.
    """
    batch: list[tuple[str, int]] = []
    async for pair in stored.pairs(services.db, services.blobs):
        if pair.content is not None or pair.size is None:
            continue
        # asked again: its row may have come in between, or be that of bytes that are being deleted
        if await contents.find_content(services.db, bytes.fromhex(pair.sha256)) is not None:
            continue
        written_at = await services.blobs.written_at(pair.sha256)
        if written_at is not None and written_at < before:
            batch.append((pair.sha256, pair.size))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _delete(services: Services, lease: _Lease, ids: list[int], before: int, report: Report) -> None:
    """Take contents so that nobody can rescue them any more, delete their bytes, then forget them.

    After a crash in between the rows are still taken, and the next sweep goes on.
    """

    async def take(unit: Unit) -> list[Row]:
        await lease.fence(unit)
        return await leftovers.take(unit, ids, before)

    begun = monotonic()
    taken = await services.db.write(take)
    for start in range(0, len(taken), AT_ONCE):
        if monotonic() - begun > LEASE_SECONDS / 2:
            # we fell asleep: another sweep may have deleted these, and an upload may have brought them again
            raise PackhouseError("try_later", "Deleting took too long.", "The next sweep goes on.")
        group = taken[start : start + AT_ONCE]
        await asyncio.gather(*(services.blobs.delete(bytes(row[1]).hex()) for row in group))
    if taken:
        await services.db.write(lambda unit: _forget(unit, taken))
        report.deleted.add(taken)


async def _forget(unit: Unit, taken: Sequence[Row]) -> None:
    await leftovers.forget_contents(unit, [row[0] for row in taken])
    data = {"files": len(taken), "bytes": sum(row[2] for row in taken)}
    await record_event(unit, type="content_swept", actor="system", object="blobs", data=data)
