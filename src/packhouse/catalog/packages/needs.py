"""Who depends on a package, within a channel: `need`, which triggers keep beside `package.needs` (migration 0002)."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, select

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.listing import PACKAGE_COLUMNS, PackageRow
from packhouse.catalog.schema import need, package
from packhouse.core.db import Database, Unit

_ASKED = and_(
    need.c.channel_id == bindparam("channel_id"),
    need.c.family == bindparam("family"),
    need.c.needed == bindparam("needed"),
)
_COUNT = select(func.count()).select_from(need).where(_ASKED)
# Paged along the key alone, whatever statistics say, and only then joined.
_PAGE = (
    select(need).where(_ASKED).order_by(need.c.name).limit(bindparam("limit")).offset(bindparam("offset")).subquery()
)
_ROWS = (
    select(*PACKAGE_COLUMNS)
    .select_from(
        _PAGE.join(
            package,
            and_(
                package.c.channel_id == _PAGE.c.channel_id,
                package.c.name == _PAGE.c.name,
                package.c.family == _PAGE.c.family,
            ),
        )
    )
    .order_by(package.c.name)
)

_EACH = {
    "sqlite": "SELECT channel_id, family, value, name FROM package, json_each(package.needs)",
    "postgresql": "SELECT channel_id, family, jsonb_array_elements_text(CAST(needs AS jsonb)), name FROM package",
}
_KEPT = "SELECT channel_id, family, needed, name FROM need"
_GAP = "SELECT count(*) FROM ({} EXCEPT {}) AS gap"
_GAPS = {dialect: (_GAP.format(each, _KEPT), _GAP.format(_KEPT, each)) for dialect, each in _EACH.items()}
_REBUILD = {dialect: f"INSERT INTO need (channel_id, family, needed, name) {each}" for dialect, each in _EACH.items()}


async def dependants(
    db: Database, here: Channel, family: str, name: str, *, limit: int, offset: int
) -> tuple[list[PackageRow], int]:
    """Return a page of the packages whose latest version needs this one, by name, and how many there are in all."""
    asked = {"channel_id": here.id, "family": family, "needed": name}
    total = int(await db.fetch_value(_COUNT, **asked) or 0)
    if not limit or offset >= total:
        return [], total
    rows = await db.fetch_large(_ROWS, limit=limit, offset=offset, **asked)
    return [PackageRow(here.path, *row) for row in rows], total


async def gaps(db: Database) -> int:
    """Return how many needs of packages `need` misses, or knows though no package has them."""
    return sum([(await db.fetch_large(statement))[0][0] for statement in _GAPS[db.dialect]])


async def rebuild(unit: Unit) -> None:
    """Derive `need` again, for all channels in one unit."""
    await unit.execute("DELETE FROM need")
    await unit.execute(_REBUILD[unit.dialect])
