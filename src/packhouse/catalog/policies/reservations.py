"""Queries of reservations: names and patterns that no mirror may bring, into one channel or into any."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, or_, select

from packhouse.catalog.judgement_tables import reservation
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, viewer
from packhouse.catalog.schema import channel, entry
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader


class ReservationRow(NamedTuple):
    """A reserved name. `at` is in microseconds."""

    id: int
    family: str  #: empty: every family
    pattern: str  #: a name, or one with *
    channel_id: int | None  #: None: everywhere
    by: str
    at: int
    path: str | None = None  #: of the channel, unless it is deleted


_COLUMNS = (*(reservation.c[name] for name in ReservationRow._fields[:6]), channel.c.path)
_FROM = reservation.outerjoin(channel, channel.c.id == reservation.c.channel_id)
_ALL = select(*_COLUMNS).select_from(_FROM)
_BY_ID = _ALL.where(reservation.c.id == bindparam("reservation_id"))
_IN_CHANNEL = _ALL.where(
    or_(reservation.c.channel_id == bindparam("channel_id"), reservation.c.channel_id.is_(None))
).order_by(reservation.c.id)
# those of a channel are shown to who sees the channel
_SHOWN = or_(reservation.c.channel_id.is_(None), VISIBLE)
_PAGE = (
    _ALL.where(_SHOWN)
    .order_by(reservation.c.pattern, reservation.c.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_COUNT = select(func.count()).select_from(_FROM).where(_SHOWN)
# by -1 as nowhere, since NULL is never equal to NULL
_SAME = select(reservation.c.id).where(
    reservation.c.family == bindparam("family"),
    reservation.c.pattern == bindparam("pattern"),
    func.coalesce(reservation.c.channel_id, -1) == bindparam("where"),
)
_ADD = (
    insert(reservation)
    .values({name: bindparam(name) for name in ReservationRow._fields[1:6]})
    .returning(reservation.c.id)
)
_DROP = delete(reservation).where(reservation.c.id == bindparam("reservation_id"))
_BROUGHT = select(entry.c.family, entry.c.name).distinct().where(entry.c.uploaded.is_(False))
_BROUGHT_HERE = _BROUGHT.where(entry.c.channel_id == bindparam("channel_id"))


async def by_id(reader: Reader, reservation_id: int) -> ReservationRow | None:
    """Return a reservation."""
    row = await reader.fetch_one(_BY_ID, reservation_id=reservation_id)
    return ReservationRow(*row) if row else None


async def in_channel(reader: Reader, channel_id: int) -> list[ReservationRow]:
    """Return what an administrator reserved in a channel, or everywhere."""
    return [ReservationRow(*row) for row in await reader.fetch_all(_IN_CHANNEL, channel_id=channel_id)]


async def page(reader: Reader, principal: Principal, limit: int, offset: int) -> tuple[list[ReservationRow], int]:
    """Return the reservations that the caller may know of, by pattern, and how many there are."""
    values = viewer(principal)
    rows = await reader.fetch_all(_PAGE, limit=limit, offset=offset, **values)
    return [ReservationRow(*row) for row in rows], int(await reader.fetch_value(_COUNT, **values) or 0)


async def find(reader: Reader, family: str, pattern: str, channel_id: int | None) -> int | None:
    """Return the id of the reservation that says just this."""
    where = -1 if channel_id is None else channel_id
    found: int | None = await reader.fetch_value(_SAME, family=family, pattern=pattern, where=where)
    return found


async def add(unit: Unit, row: ReservationRow) -> int:
    """Write a reservation, whose `id` and `path` do not matter; return its id."""
    return int(await unit.fetch_value(_ADD, **{name: getattr(row, name) for name in ReservationRow._fields[1:6]}))


async def drop(unit: Unit, reservation_id: int) -> bool:
    """Delete a reservation; return whether it was there."""
    return bool(await unit.execute(_DROP, reservation_id=reservation_id))


async def brought(db: Database, channel_id: int | None) -> list[tuple[str, str]]:
    """Return (family, name) of the packages that mirrors, or copies, brought to a channel, or to any."""
    if channel_id is None:
        return [(row[0], row[1]) for row in await db.fetch_large(_BROUGHT)]
    return [(row[0], row[1]) for row in await db.fetch_large(_BROUGHT_HERE, channel_id=channel_id)]
