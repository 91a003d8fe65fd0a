"""Queries of downloads: how often, per file and per package, and who downloaded which file since when.

Counts belong to what a channel shows and go with it. Who downloaded a file is history and stays: `downloaded` names
the file as it was then, whatever became of its entry, record, content and channel. Nothing here is ever deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, and_, bindparam, cast, func, select, union

from packhouse.catalog.people_tables import account, former_account
from packhouse.catalog.schema import (
    channel,
    content,
    download_by,
    downloaded,
    entry,
    package_total,
    record,
)
from packhouse.core.clock import DAY
from packhouse.core.db import Database, Unit, any_of
from packhouse.core.db.types import Int

#: the account of whoever shows no credential
NOBODY = 0


#: entry, record, and SHA-256 of the content: what a file that was downloaded is known by
File = tuple[int, int, bytes]


class Download(NamedTuple):
    """A file as it was given to somebody: all downloads that are equal in this are counted together."""

    entry_id: int
    record_id: int
    sha256: bytes  #: of the content
    channel_id: int
    channel: str  #: its path
    family: str
    partition: str
    name: str
    filename: str
    account_id: int  #: NOBODY for anonymous callers
    token: str | None = None  #: the public id of the token that was shown, if it was one


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """How often a download happened within about a second, and when first and last (µs)."""

    download: Download
    count: int
    first_at: int
    last_at: int


class Downloaded(msgspec.Struct, frozen=True):
    """What somebody downloaded of one file, how often, and when first and last (µs)."""

    account_id: int  #: NOBODY: callers without a credential
    username: str | None  #: None: nobody in particular; accounts that were deleted keep their name here
    channel: str  #: where it stands now, or stood before it was deleted
    family: str
    partition: str
    name: str
    version: str
    filename: str
    sha256: bytes
    count: int
    first_at: int
    last_at: int


_HOLD_TOTALS = (
    select(package_total.c.channel_id)
    .where(any_of(package_total.c.channel_id, "channels"))
    .order_by(package_total.c.channel_id)
    .with_for_update()
)
_TAKE = "INSERT INTO download_chunk (name, at) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING"
_FORGET = """DELETE FROM download_chunk WHERE name IN
 (SELECT name FROM download_chunk WHERE at < :before ORDER BY name LIMIT :limit)"""
_FORGET_ONE = "DELETE FROM download_chunk WHERE name = :name"
# From `entry`, so that a file removed in the meantime gets no row that nobody would ever remove.
_ADD = """INSERT INTO download (entry_id, channel_id, name, count)
 SELECT id, channel_id, name, :count FROM entry WHERE id = :entry_id
 ON CONFLICT (entry_id) DO UPDATE SET count = download.count + excluded.count"""
_ADD_TO_PACKAGE = """UPDATE package SET download_count = download_count + :count
 WHERE channel_id = :channel_id AND name = :name AND family = (SELECT family FROM entry WHERE id = :entry_id)"""

_NAMED = select(*(downloaded.c[name] for name in ("entry_id", "record_id", "sha256", "id", "version"))).where(
    any_of(downloaded.c.entry_id, "entries")
)
_NAME = """INSERT INTO downloaded (entry_id, record_id, sha256, record_sha256, channel_id, channel, family, partition,
 name, version, filename)
 VALUES (:entry_id, :record_id, :sha256, (SELECT sha256 FROM record WHERE id = :record_id), :channel_id, :channel,
 :family, :partition, :name, COALESCE((SELECT version FROM record WHERE id = :record_id), ''), :filename)
 ON CONFLICT (entry_id, record_id, sha256) DO NOTHING"""
# Nobody is waited for: what somebody is changing just now may be gone in a moment.
_STILL_THERE = (
    select(entry.c.id, entry.c.record_id)
    .where(any_of(entry.c.id, "entries"))
    .with_for_update(read=True, skip_locked=True)
)
_ADD_BY = """INSERT INTO download_by (file_id, day, account_id, count, first_at, last_at)
 VALUES (:file_id, :day, :account_id, :count, :first_at, :last_at)
 ON CONFLICT (file_id, day, account_id) DO UPDATE SET count = download_by.count + excluded.count,
 first_at = CASE WHEN excluded.first_at < download_by.first_at THEN excluded.first_at ELSE download_by.first_at END,
 last_at = CASE WHEN excluded.last_at > download_by.last_at THEN excluded.last_at ELSE download_by.last_at END"""

# A record that came in the place of another describes what was downloaded under the other, while the entry is there.
_FILES = union(
    select(downloaded.c.id)
    .join(content, content.c.sha256 == downloaded.c.sha256)
    .where(any_of(content.c.id, "contents")),
    select(downloaded.c.id)
    .join(record, record.c.sha256 == downloaded.c.record_sha256)
    .where(any_of(record.c.id, "records")),
    select(downloaded.c.id)
    .join(entry, entry.c.id == downloaded.c.entry_id)
    .join(content, and_(content.c.id == entry.c.content_id, content.c.sha256 == downloaded.c.sha256))
    .where(any_of(entry.c.record_id, "records")),
)
_OF_VERSION = select(downloaded.c.id).where(
    downloaded.c.name == bindparam("name"),
    downloaded.c.version == bindparam("version"),
    downloaded.c.family == bindparam("family"),
)
_OF_BYTES = select(downloaded.c.id).where(downloaded.c.sha256 == bindparam("sha256"))
_SINCE = and_(download_by.c.day >= bindparam("day"), download_by.c.last_at >= bindparam("since"))


def _told(rows: Any) -> Select[Any]:
    """Select the fields of `Downloaded` for rows of (file_id, account_id, count, first_at, last_at)."""
    return (
        select(
            rows.c.account_id,
            func.coalesce(account.c.username, former_account.c.username),
            func.coalesce(channel.c.path, downloaded.c.channel),
            *(downloaded.c[name] for name in ("family", "partition", "name", "version", "filename", "sha256")),
            *(rows.c[name] for name in ("count", "first_at", "last_at")),
        )
        .select_from(rows)
        .join(downloaded, downloaded.c.id == rows.c.file_id)
        .outerjoin(channel, channel.c.id == downloaded.c.channel_id)
        .outerjoin(account, account.c.id == rows.c.account_id)
        .outerjoin(former_account, former_account.c.account_id == rows.c.account_id)
        .order_by(rows.c.last_at.desc(), rows.c.account_id, rows.c.file_id)
    )


def _who(files: Any) -> Select[Any]:
    rows = (
        select(
            download_by.c.file_id,
            download_by.c.account_id,
            cast(func.sum(download_by.c.count), Int).label("count"),
            func.min(download_by.c.first_at).label("first_at"),
            func.max(download_by.c.last_at).label("last_at"),
        )
        .where(download_by.c.file_id.in_(files), _SINCE)
        .group_by(download_by.c.file_id, download_by.c.account_id)
    )
    return _told(rows.subquery())


_WHO, _WHO_VERSION, _WHO_BYTES = _who(_FILES), _who(_OF_VERSION), _who(_OF_BYTES)
_WHAT = _told(
    select(download_by)
    .where(
        download_by.c.account_id == bindparam("of_account"),
        _SINCE,
        download_by.c.day <= bindparam("last_day"),
        download_by.c.first_at < bindparam("before"),
    )
    .subquery()
)


async def who(
    db: Database, since: int = 0, *, contents: Collection[int] = (), records: Collection[int] = ()
) -> list[Downloaded]:
    """Return who downloaded any of these contents or records (ids) at or after a time (µs), the latest first.

    One row for each account and file. Days are not divided: what somebody downloaded on the day of `since` is counted
    whole, if the last of it came at or after `since`. A content is found by its bytes, so also what was downloaded of
    it in other channels and before it was removed and came again; a record by its text, and by the entries that show
    it now. What nobody holds any more has no id to ask for: ask `who_version`.
    """
    found = await db.fetch_large(_WHO, contents=list(contents), records=list(records), since=since, day=since // DAY)
    return [Downloaded(*row) for row in found]


async def who_version(db: Database, family: str, name: str, version: str, since: int = 0) -> list[Downloaded]:
    """Return the same for a version of a package in any channel, whatever has become of its files."""
    found = await db.fetch_large(_WHO_VERSION, family=family, name=name, version=version, since=since, day=since // DAY)
    return [Downloaded(*row) for row in found]


async def who_bytes(db: Database, sha256: bytes, since: int = 0) -> list[Downloaded]:
    """Return the same for bytes, whether anybody holds them still or not."""
    return [Downloaded(*row) for row in await db.fetch_large(_WHO_BYTES, sha256=sha256, since=since, day=since // DAY)]


async def what(db: Database, account_id: int, since: int, before: int) -> list[Downloaded]:
    """Return what an account downloaded between two times (µs, the second excluded), the latest first.

    One row for each file and day (UTC); a day is told whole if any of it may lie between.
    """
    found = await db.fetch_large(
        _WHAT, of_account=account_id, since=since, day=since // DAY, before=before, last_day=before // DAY
    )
    return [Downloaded(*row) for row in found]


async def take_chunk(unit: Unit, name: str) -> bool:
    """Say that a chunk of counts is being added; False when it was added before and its file may still exist."""
    return await unit.execute(_TAKE, name=name, at=unit.now) > 0


async def forget_chunks(unit: Unit, names: Sequence[str]) -> None:
    """Forget chunks whose files are gone, so that they cannot be added again."""
    await unit.execute_many(_FORGET_ONE, [{"name": name} for name in names])


async def forget_old_chunks(unit: Unit, before: int, limit: int = 2000) -> int:
    """Forget at most `limit` chunks from before a time (µs), which killed processes left; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


async def hold_totals(unit: Unit, channels: Sequence[int]) -> None:
    """Take the sums of channels, which every change of a package changes too, before the first such change.

    Otherwise who holds the sums and waits for a package may meet who holds that package and waits for the sums.
    """
    await unit.fetch_all(_HOLD_TOTALS, channels=list(channels))


async def add(unit: Unit, tallies: Sequence[Tally]) -> set[tuple[str, str]]:
    """Add downloads to the history and to the totals, from which what was removed in the meantime is left out.

    Returns the packages (family, name) of which a file that is new to the history is gone, or may be: no channel
    stands for its version any more, so that only from now on it is known that somebody has it.
    The sums of the channels are taken first, as a publish does, so that neither the two nor two of these deadlock.
    """
    await hold_totals(unit, sorted({one.download.channel_id for one in tallies}))
    new = await _add_to_history(unit, tallies)
    counts: Counter[tuple[int, int, str]] = Counter()
    for one in tallies:
        counts[one.download.entry_id, one.download.channel_id, one.download.name] += one.count
    values = [
        {"entry_id": entry_id, "channel_id": channel_id, "name": name, "count": count}
        for (entry_id, channel_id, name), count in sorted(counts.items())
    ]
    await unit.execute_many(_ADD, values)
    await unit.execute_many(_ADD_TO_PACKAGE, values)
    return await _gone(unit, new)  # last, as whoever changes one of these files waits from here on


async def _gone(unit: Unit, files: Collection[Download]) -> set[tuple[str, str]]:
    if not files:
        return set()
    rows = await unit.fetch_all(_STILL_THERE, entries=sorted({one.entry_id for one in files}))
    there = {(row[0], row[1]) for row in rows}
    return {(one.family, one.name) for one in files if (one.entry_id, one.record_id) not in there}


async def _add_to_history(unit: Unit, tallies: Sequence[Tally]) -> list[Download]:
    """Add to the history; return the files that are new to it."""
    files = {one.download[:3]: one.download for one in tallies}
    known = await named(unit, files)
    new = sorted(files.keys() - known.keys())
    if new:
        await unit.execute_many(_NAME, [files[key]._asdict() for key in new])
        known = await named(unit, files)
    values = [
        {
            "file_id": known[one.download[:3]][0],
            "day": one.last_at // DAY,
            "account_id": one.download.account_id,
            "count": one.count,
            "first_at": one.first_at,
            "last_at": one.last_at,
        }
        for one in tallies
    ]
    await unit.execute_many(_ADD_BY, sorted(values, key=itemgetter("file_id", "day", "account_id")))
    return [files[key] for key in new]


async def named(unit: Unit, files: Collection[File]) -> dict[File, tuple[int, str]]:
    """Return the ids and versions of files that were downloaded before, by entry, record and content."""
    rows = await unit.fetch_all(_NAMED, entries=list({key[0] for key in files}))
    return {(row[0], row[1], bytes(row[2])): (row[3], row[4]) for row in rows}
