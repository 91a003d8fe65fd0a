"""Queries of `package`: one row per name of a channel, derived from its visible files when the index is published."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select

from packhouse.catalog.schema import package
from packhouse.core.db import Database, Row, Unit

_PUT = """INSERT INTO package (channel_id, family, name, file_count, download_count, latest_version, build_number,
 license, license_family, summary, platforms, created_at, updated_at)
 VALUES (:channel_id, :family, :name, :file_count, 0, :latest_version, :build_number, :license, :license_family,
 :summary, :platforms, :now, :now)
 ON CONFLICT (channel_id, family, name) DO UPDATE SET file_count = excluded.file_count,
 latest_version = excluded.latest_version, build_number = excluded.build_number, license = excluded.license,
 license_family = excluded.license_family, summary = excluded.summary, platforms = excluded.platforms,
 updated_at = excluded.updated_at"""
_DROP_NAME = delete(package).where(package.c.channel_id == bindparam("channel_id"), package.c.name == bindparam("name"))

_OF_CHANNEL = (
    select(
        package.c.name,
        package.c.latest_version,
        package.c.license,
        package.c.summary,
        package.c.platforms,
        package.c.updated_at,
    )
    .where(package.c.channel_id == bindparam("channel_id"), package.c.family == "conda")
    .order_by(package.c.name)
)


async def of_channel(db: Database, channel_id: int) -> list[Row]:
    """Return (name, latest_version, license, summary, platforms, updated_at) of every conda package, by name."""
    return await db.fetch_large(_OF_CHANNEL, channel_id=channel_id)


async def put(unit: Unit, channel_id: int, summary: dict[str, Any]) -> None:
    """Write the row of one package; its download count and its birth stay as they are."""
    await unit.execute(_PUT, channel_id=channel_id, now=unit.now, **summary)


async def drop(unit: Unit, channel_id: int, name: str) -> None:
    """Remove the rows of a name that shows no file any more."""
    await unit.execute(_DROP_NAME, channel_id=channel_id, name=name)
