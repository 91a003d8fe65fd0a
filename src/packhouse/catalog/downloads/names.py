"""What the numbers in single downloads stand for, and the numbers of people and channels that are asked for by name.

Who and what is gone keeps its name here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import func, select, union_all

from packhouse.catalog.people_tables import account, former_account
from packhouse.catalog.schema import channel, downloaded
from packhouse.core.db import Database, any_of


class FileName(NamedTuple):
    """A file as it was downloaded."""

    channel: str  #: where it stands now, or stood before it was deleted
    family: str
    partition: str
    name: str
    version: str
    filename: str
    sha256: bytes


_FILES = (
    select(
        downloaded.c.id,
        func.coalesce(channel.c.path, downloaded.c.channel),
        *(downloaded.c[name] for name in FileName._fields[1:]),
    )
    .outerjoin(channel, channel.c.id == downloaded.c.channel_id)
    .where(any_of(downloaded.c.id, "ids"))
)
_PEOPLE = union_all(
    select(account.c.id, account.c.username).where(any_of(account.c.id, "ids")),
    select(former_account.c.account_id, former_account.c.username).where(any_of(former_account.c.account_id, "ids")),
)
_ACCOUNTS = union_all(
    select(account.c.username, account.c.id).where(any_of(account.c.username, "names")),
    select(former_account.c.username, former_account.c.account_id).where(any_of(former_account.c.username, "names")),
)
_CHANNELS = select(channel.c.path, channel.c.id).where(any_of(channel.c.path, "paths"))
_CHANNELS_THEN = (
    select(downloaded.c.channel, downloaded.c.channel_id)
    .distinct()
    .outerjoin(channel, channel.c.id == downloaded.c.channel_id)
    .where(any_of(downloaded.c.channel, "paths"), channel.c.path.is_(None))
)


async def files(db: Database, ids: Collection[int]) -> dict[int, FileName]:
    """Return what files with these numbers were when they were downloaded."""
    rows = await db.fetch_large(_FILES, ids=list(ids))
    return {row[0]: FileName._make((*row[1:-1], bytes(row[-1]))) for row in rows}


async def people(db: Database, ids: Collection[int]) -> dict[int, str]:
    """Return the names of accounts, also of those who are gone."""
    return dict(await db.fetch_large(_PEOPLE, ids=list(ids)))


async def accounts_named(db: Database, names: Collection[str]) -> dict[str, set[int]]:
    """Return name → numbers of accounts, also of those who are gone, whose name may have been given again."""
    return _by_name(await db.fetch_large(_ACCOUNTS, names=list(names)) if names else [])


async def channels_named(db: Database, paths: Collection[str]) -> dict[str, set[int]]:
    """Return path → numbers of the channels that stand there, or stood there when they were deleted."""
    found = [row for text in (_CHANNELS, _CHANNELS_THEN) for row in await db.fetch_large(text, paths=list(paths))]
    return _by_name(found)


def _by_name(rows: Collection[tuple[str, int]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name, number in rows:
        found.setdefault(name, set()).add(number)
    return found
