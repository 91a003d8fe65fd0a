"""Queries of `package`: one row per name of a channel, derived from its visible files when the index is published."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select

from packhouse.catalog.schema import package
from packhouse.core.db import Database, Row, Unit, any_of

_PUT = """INSERT INTO package (channel_id, family, name, file_count, download_count, latest_version, build_number,
 license, license_family, summary, platforms, overview, needs, created_at, updated_at)
 VALUES (:channel_id, :family, :name, :file_count, 0, :latest_version, :build_number, :license, :license_family,
 :summary, :platforms, :overview, :needs, :now, :now)
 ON CONFLICT (channel_id, family, name) DO UPDATE SET file_count = excluded.file_count,
 latest_version = excluded.latest_version, build_number = excluded.build_number, license = excluded.license,
 license_family = excluded.license_family, summary = excluded.summary, platforms = excluded.platforms,
 overview = excluded.overview, needs = excluded.needs, updated_at = excluded.updated_at"""
_DROP_OTHERS = delete(package).where(
    package.c.channel_id == bindparam("channel_id"),
    package.c.name == bindparam("name"),
    ~any_of(package.c.family, "families"),
)

_OVERVIEWS = (
    select(package.c.name, package.c.overview, package.c.platforms)
    .where(package.c.channel_id == bindparam("channel_id"), package.c.family == bindparam("family"))
    .order_by(package.c.name)
)


async def overviews(db: Database, channel_id: int, family: str) -> list[Row]:
    """Return (name, overview, platforms) of every package of a family, by name."""
    return await db.fetch_large(_OVERVIEWS, channel_id=channel_id, family=family)


async def put(unit: Unit, channel_id: int, summary: dict[str, Any]) -> None:
    """Write the row of one package; its download count and its birth stay as they are."""
    await unit.execute(_PUT, channel_id=channel_id, now=unit.now, **summary)


async def keep_only(unit: Unit, channel_id: int, name: str, families: list[str]) -> None:
    """Remove the rows of a name in every family but these: of the others no file is visible any more."""
    await unit.execute(_DROP_OTHERS, channel_id=channel_id, name=name, families=families)
