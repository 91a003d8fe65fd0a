"""Queries of the scheduled exports of the audit trail: how far each went."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from packhouse.catalog.people_tables import export_run
from packhouse.catalog.schema import event
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader

#: what an export writes itself, which is no reason for the next one
EXPORTED = "events_exported"

_LAST = select(export_run.c.upto_seq, export_run.c.at).order_by(export_run.c.id.desc()).limit(1)
_ADD = "INSERT INTO export_run (upto_seq, file, at) VALUES (:upto, :file, :at)"
_LAST_ID = select(func.max(export_run.c.id)).scalar_subquery()
_OLD = select(export_run.c.id).where(export_run.c.id < _LAST_ID).limit(bindparam("limit"))
_FORGET = delete(export_run).where(export_run.c.id.in_(_OLD))
_FIRST_AT = select(event.c.at).where(event.c.seq == 1)
_ANYTHING = (
    select(event.c.seq)
    .where(event.c.seq > bindparam("after"), event.c.seq <= bindparam("upto"), event.c.type != EXPORTED)
    .limit(1)
)


class Run(NamedTuple):
    """How far the trail was exported, and when."""

    upto: int  #: number of an event; 0: of none
    at: int  #: µs


async def last(reader: Reader) -> Run | None:
    """Return the last run; before the first one, the time of the first event, as if one had been then."""
    if row := await reader.fetch_one(_LAST):
        return Run(*row)
    began = await reader.fetch_value(_FIRST_AT)
    return None if began is None else Run(0, began)


async def add(unit: Unit, upto: int, file: str) -> None:
    """Note a run, which wrote a file unless the name is empty."""
    await unit.execute(_ADD, upto=upto, file=file, at=unit.now)


async def forget_old(unit: Unit, limit: int = 2000) -> int:
    """Drop at most `limit` runs before the last one, which is all that counts; return how many."""
    return await unit.execute(_FORGET, limit=limit)


async def anything(reader: Reader, after: int, upto: int) -> bool:
    """Say whether anything happened between two numbers, but for exports."""
    return await reader.fetch_value(_ANYTHING, after=after, upto=upto) is not None
