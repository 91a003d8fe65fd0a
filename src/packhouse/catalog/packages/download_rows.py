"""Queries of the report of downloads: who downloaded which file on which day, streamed as the rows lie.

Nothing is sorted, so that a year of an installation takes no more memory than a day: rows come by file and day, or, of
one account, by day and file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select, union_all

from packhouse.catalog.people_tables import account, former_account
from packhouse.catalog.schema import channel, download_by, downloaded
from packhouse.core.clock import DAY
from packhouse.core.db import Database, any_of
from packhouse.core.db.base import Reader


class DownloadRow(NamedTuple):
    """What somebody downloaded of one file on one day (UTC), how often, and when first and last (µs)."""

    username: str | None  #: None: nobody in particular; accounts that were deleted keep their name here
    channel: str  #: where it stands now, or stood before it was deleted
    family: str
    partition: str
    name: str
    version: str
    filename: str
    sha256: bytes
    downloads: int
    first_at: int
    last_at: int


_WHERE = func.coalesce(channel.c.path, downloaded.c.channel)
# Outer joins all: the databases then begin with `download_by`, in the order of its key.
_ROWS = (
    select(
        func.coalesce(account.c.username, former_account.c.username),
        _WHERE,
        *(downloaded.c[name] for name in ("family", "partition", "name", "version", "filename", "sha256")),
        *(download_by.c[name] for name in ("count", "first_at", "last_at")),
    )
    .select_from(download_by)
    .outerjoin(downloaded, downloaded.c.id == download_by.c.file_id)
    .outerjoin(channel, channel.c.id == downloaded.c.channel_id)
    .outerjoin(account, account.c.id == download_by.c.account_id)
    .outerjoin(former_account, former_account.c.account_id == download_by.c.account_id)
    .where(
        download_by.c.day >= bindparam("first_day"),
        download_by.c.day <= bindparam("last_day"),
        download_by.c.last_at >= bindparam("since"),
        download_by.c.first_at < bindparam("before"),
    )
)
_ACCOUNTS = union_all(
    select(account.c.username, account.c.id).where(any_of(account.c.username, "names")),
    select(former_account.c.username, former_account.c.account_id).where(any_of(former_account.c.username, "names")),
)
_CHANNELS = select(channel.c.path).where(any_of(channel.c.path, "paths"))
_CHANNELS_THEN = select(downloaded.c.channel).distinct().where(any_of(downloaded.c.channel, "paths"))


async def rows(
    db: Database, since: int, before: int, *, account_id: int | None = None, channels: Collection[str] = ()
) -> AsyncIterator[list[DownloadRow]]:
    """Yield in batches what was downloaded between two times (µs, the second excluded), of one account and some
    channels (paths), or of all. A row is told whole if any of its day's downloads may lie between.
    """
    chosen: dict[str, Any] = {} if account_id is None else {"account_id": account_id}
    if channels:
        chosen["paths"] = list(channels)
    days = {"first_day": since // DAY, "last_day": (before - 1) // DAY}
    async for batch in db.stream(_chosen(frozenset(chosen)), since=since, before=before, **days, **chosen):
        yield [DownloadRow(*row) for row in batch]


@cache
def _chosen(names: frozenset[str]) -> Select[Any]:
    statement = _ROWS.where(any_of(_WHERE, "paths")) if "paths" in names else _ROWS
    by = download_by.c
    if "account_id" in names:
        return statement.where(by.account_id == bindparam("account_id")).order_by(by.account_id, by.day, by.file_id)
    return statement.order_by(by.file_id, by.day, by.account_id)


async def accounts_named(reader: Reader, names: Collection[str]) -> dict[str, list[int]]:
    """Return name → numbers of accounts, also of those who are gone, whose name may have been given again."""
    found: dict[str, list[int]] = {}
    for name, number in await reader.fetch_all(_ACCOUNTS, names=list(names)):
        found.setdefault(name, []).append(number)
    return found


async def channels_named(reader: Reader, paths: Collection[str]) -> set[str]:
    """Return those paths at which a channel stands, or stood when somebody downloaded from it."""
    found = {row[0] for row in await reader.fetch_all(_CHANNELS, paths=list(paths))}
    if missing := set(paths) - found:
        found |= {row[0] for row in await reader.fetch_all(_CHANNELS_THEN, paths=sorted(missing))}
    return found
