"""Queries of waivers: what somebody lets pass, where, why and until when. One that has ended stays to be read."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, func, insert, or_, select, update

from packhouse.catalog.judgement_tables import waiver
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, viewer
from packhouse.catalog.schema import channel
from packhouse.core.db import Row, Unit, any_of
from packhouse.core.db.base import Reader


class Lifts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a waiver lets pass: these rules, or these vulnerabilities; with neither every rule but the grave ones."""

    rules: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()


class WaiverRow(NamedTuple):
    """A waiver. Times are microseconds; it holds while `until` lies ahead."""

    id: int
    uuid: str
    channel_id: int | None  #: None: everywhere
    family: str
    name: str  #: of the one package it is about, normalised
    spec: str  #: version and build of a match spec; empty: every file
    lifts: Lifts
    reason: str
    by: str
    at: int
    until: int
    path: str | None = None  #: of the channel, unless it is deleted


_STORED = ("uuid", "channel_id", "family", "name", "spec", "rules", "reason", "by", "at", "until")
_COLUMNS = (waiver.c.id, *(waiver.c[name] for name in _STORED), channel.c.path)
_FROM = waiver.outerjoin(channel, channel.c.id == waiver.c.channel_id)
_ALL = select(*_COLUMNS).select_from(_FROM)
_BY_UUID = _ALL.where(waiver.c.uuid == bindparam("uuid"))
_OF_FAMILY = _ALL.where(waiver.c.family == bindparam("family"), waiver.c.until > bindparam("now"))
_OF_NAMES = _OF_FAMILY.where(any_of(waiver.c.name, "names"))
#: what the viewer may know of: waivers of a channel are shown to who sees the channel
_SHOWN = or_(waiver.c.channel_id.is_(None), VISIBLE)
#: the filters of the list
_FILTERS: dict[str, ColumnElement[bool]] = {
    "active": waiver.c.until > bindparam("now"),
    "ended": waiver.c.until <= bindparam("now"),
    "family": waiver.c.family == bindparam("family"),
    "name": waiver.c.name == bindparam("name"),
    "channel_id": or_(waiver.c.channel_id == bindparam("channel_id"), waiver.c.channel_id.is_(None)),
}
_ADD = insert(waiver).values({name: bindparam(name) for name in _STORED}).returning(waiver.c.id)
_END = (
    update(waiver)
    .where(waiver.c.id == bindparam("waiver_id"), waiver.c.until > bindparam("now"))
    .values(until=bindparam("now"))
)
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Lifts).decode


async def add(unit: Unit, row: WaiverRow) -> int:
    """Write a waiver, whose `id` and `path` do not matter; return its id."""
    values = row._asdict() | {"rules": _encode(row.lifts).decode()}
    for name in ("id", "lifts", "path"):
        del values[name]
    return int(await unit.fetch_value(_ADD, **values))


async def end(unit: Unit, waiver_id: int) -> bool:
    """Let a waiver end now; False when it had already."""
    return bool(await unit.execute(_END, waiver_id=waiver_id, now=unit.now))


async def by_uuid(reader: Reader, uuid: str) -> WaiverRow | None:
    """Return the waiver with this public id."""
    row = await reader.fetch_one(_BY_UUID, uuid=uuid)
    return _waiver(row) if row else None


async def of_names(reader: Reader, family: str, names: Collection[str], now: int) -> list[WaiverRow]:
    """Return the waivers that hold at `now` for files of these packages, in whatever channel."""
    rows = await reader.fetch_all(_OF_NAMES, family=family, names=list(names), now=now)
    return [_waiver(row) for row in rows]


async def of_family(reader: Reader, family: str, now: int) -> list[WaiverRow]:
    """Return all waivers of a family that hold at `now`."""
    return [_waiver(row) for row in await reader.fetch_all(_OF_FAMILY, family=family, now=now)]


async def page(
    reader: Reader, principal: Principal, given: dict[str, Any], limit: int, offset: int
) -> tuple[list[WaiverRow], int]:
    """Return waivers that the caller may know of, those first that end last, and how many there are.

    `given` narrows: `active` or `ended` (then also `now`), `family`, `name`, `channel_id` (and what is everywhere).
    """
    values = {name: value for name, value in given.items() if name not in ("active", "ended")} | viewer(principal)
    rows, count = _statements(frozenset(given).intersection(_FILTERS))
    found = await reader.fetch_all(rows, limit=limit, offset=offset, **values)
    return [_waiver(row) for row in found], int(await reader.fetch_value(count, **values))


@cache
def _statements(names: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    where = [_SHOWN, *(_FILTERS[name] for name in sorted(names))]
    rows = _ALL.where(*where).order_by(waiver.c.until.desc(), waiver.c.id.desc())
    count = select(func.count()).select_from(_FROM).where(*where)
    return rows.limit(bindparam("limit")).offset(bindparam("offset")), count


def _waiver(row: Row) -> WaiverRow:
    return WaiverRow._make([*row[:6], _decode(row[6]), *row[7:]])
