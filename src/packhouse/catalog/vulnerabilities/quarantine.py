"""Queries of quarantine beyond its own rows: lists, and where bytes are shown."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select

from packhouse.catalog.judgement_tables import quarantine
from packhouse.catalog.schema import channel, content, entry, record
from packhouse.catalog.vulnerabilities.statements import Quarantined
from packhouse.core.db import Database
from packhouse.core.db.base import Reader


class Place(NamedTuple):
    """A file of a channel."""

    channel: str  #: its path
    family: str
    partition: str
    name: str
    version: str
    filename: str

    @property
    def package(self) -> tuple[str, str]:
        """Family and name, by which files are judged."""
        return self.family, self.name


_COLUMNS = tuple(quarantine.c[name] for name in Quarantined._fields)
_ONE = select(*_COLUMNS).where(quarantine.c.sha256 == bindparam("sha256"))
_PAGE = (
    select(*_COLUMNS)
    .order_by(quarantine.c.at.desc(), quarantine.c.sha256)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_COUNT = select(func.count()).select_from(quarantine)
_PLACES = (
    select(channel.c.path, entry.c.family, entry.c.partition, entry.c.name, record.c.version, entry.c.filename)
    .join_from(entry, channel, channel.c.id == entry.c.channel_id)
    .join(record, record.c.id == entry.c.record_id)
    .where(channel.c.path.is_not(None))
)
_HELD = _PLACES.join(content, content.c.id == entry.c.content_id).where(content.c.sha256 == bindparam("sha256"))
# Claims have no index, since a mirror's million of them would be written to random places of it.
_CLAIMED = _PLACES.where(entry.c.content_id.is_(None), record.c.claimed_sha256 == bindparam("sha256"))


async def find(reader: Reader, sha256: bytes) -> Quarantined | None:
    """Return what is known of bytes in quarantine, None when they are not."""
    row = await reader.fetch_one(_ONE, sha256=sha256)
    return _quarantined(row) if row else None


async def page(db: Database, *, limit: int, offset: int) -> tuple[list[Quarantined], int]:
    """Return a page of what is in quarantine, the latest first, and how much there is."""
    rows = await db.fetch_all(_PAGE, limit=limit, offset=offset) if limit else []
    return [_quarantined(row) for row in rows], int(await db.fetch_value(_COUNT))


async def held(reader: Reader, sha256: bytes) -> list[Place]:
    """Return the files of channels that have these bytes."""
    return [Place(*row) for row in await reader.fetch_all(_HELD, sha256=sha256)]


async def claimed(db: Database, sha256: bytes) -> list[Place]:
    """Return the files not fetched yet that would have these bytes. It looks at every record."""
    return [Place(*row) for row in await db.fetch_large(_CLAIMED, sha256=sha256)]


def _quarantined(row: Any) -> Quarantined:
    found = Quarantined(*row)
    return found._replace(sha256=bytes(found.sha256))
