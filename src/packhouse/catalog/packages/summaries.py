"""Queries of `package`: one row per name of a channel, derived from its visible files when the index is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
_THERE = select(package.c.family, package.c.name).where(
    package.c.channel_id == bindparam("channel_id"), any_of(package.c.name, "names")
)
_DROP = delete(package).where(
    package.c.channel_id == bindparam("channel_id"),
    package.c.name == bindparam("name"),
    package.c.family == bindparam("family"),
)

_OVERVIEWS = (
    select(package.c.name, package.c.overview, package.c.platforms)
    .where(package.c.channel_id == bindparam("channel_id"), package.c.family == bindparam("family"))
    .order_by(package.c.name)
)


async def overviews(db: Database, channel_id: int, family: str) -> list[Row]:
    """Return (name, overview, platforms) of every package of a family, by name."""
    return await db.fetch_large(_OVERVIEWS, channel_id=channel_id, family=family)


async def put(unit: Unit, channel_id: int, names: Iterable[str], packages: Sequence[Mapping[str, Any]]) -> None:
    """Let these packages be all that a channel has under these names; download counts and births stay as they are."""
    here = {"channel_id": channel_id, "now": unit.now}
    said = {(one["family"], one["name"]) for one in packages}
    there = await unit.fetch_all(_THERE, channel_id=channel_id, names=list(names))
    gone = [{"channel_id": channel_id, "family": row[0], "name": row[1]} for row in there if tuple(row) not in said]
    await unit.execute_many(_DROP, gone)
    await unit.execute_many(_PUT, [{**one, **here} for one in packages])
