"""Queries of the audit trail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, desc, func, insert, select, union_all, update

from packhouse.catalog.schema import event
from packhouse.core.db import Database, Row, Unit
from packhouse.core.db.base import Reader

_INSERT = (
    insert(event)
    .values({name: bindparam(name) for name in ("at", "type", "actor", "channel_id", "source_id", "object", "data")})
    .returning(event.c.id)
)
_FIELDS = (event.c.id, event.c.at, event.c.type, event.c.actor, event.c.channel_id, event.c.object, event.c.data)
#: what the hash of an event covers
SEALED = (*_FIELDS, event.c.source_id)
#: where number, hash and signature are in the rows of `sealed_events`
SEQ, HASH, SIGNATURE = range(len(SEALED), len(SEALED) + 3)
# Two look-ups in order of id, which the database merges, instead of one with OR, which it would sort.
_PLACES = [column == bindparam("channel_id") for column in (event.c.channel_id, event.c.source_id)]
_OF_CHANNEL = (
    union_all(*(select(*_FIELDS).where(place) for place in _PLACES))
    .order_by(desc("id"))
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_COUNTS_OF_CHANNEL = [select(func.count()).select_from(event).where(place) for place in _PLACES]
#: the filters of the whole log; times are microseconds, `until` is excluded
_FILTERS: dict[str, ColumnElement[bool]] = {
    "type": event.c.type == bindparam("type"),
    "actor": event.c.actor == bindparam("actor"),
    "object": event.c.object == bindparam("object"),
    "since": event.c.at >= bindparam("since"),
    "until": event.c.at < bindparam("until"),
}
_UNSEALED = select(*SEALED).where(event.c.seq.is_(None)).order_by(event.c.id).limit(bindparam("limit"))
_COUNT_UNSEALED = select(func.count()).select_from(event).where(event.c.seq.is_(None))
_LAST_SEALED = select(event.c.seq, event.c.hash).where(event.c.seq.is_not(None)).order_by(event.c.seq.desc()).limit(1)
_SEAL = (
    update(event)
    .where(event.c.id == bindparam("event_id"), event.c.seq.is_(None))
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"), signature=bindparam("new_signature"))
)
_LINK = select(event.c.hash, event.c.signature).where(event.c.seq == bindparam("seq"))

#: no number of an event is larger
_END = 2**62
_ALL: Mapping[str, Any] = MappingProxyType({})

_encode = msgspec.json.Encoder(order="deterministic").encode


async def record_event(
    unit: Unit,
    *,
    type: str,
    actor: str,
    object: str,
    channel_id: int | None = None,
    source_id: int | None = None,
    data: dict[str, Any] | None = None,
) -> int:
    """Write the one event of this change and return its id. `data` holds counts and names, never a secret.

    The event belongs to the history of `channel_id`, and to that of `source_id`, which files left for it.
    """
    text = _encode(data or {}).decode()
    return int(
        await unit.fetch_value(
            _INSERT,
            at=unit.now,
            type=type,
            actor=actor,
            channel_id=channel_id,
            source_id=source_id,
            object=object,
            data=text,
        )
    )


async def history(reader: Reader, channel_id: int, limit: int, offset: int) -> tuple[list[Row], int]:
    """Return the events of a channel, newest first, and how many there are; also moves from it to another one."""
    rows = await reader.fetch_all(_OF_CHANNEL, channel_id=channel_id, limit=limit, offset=offset)
    return rows, sum([await reader.fetch_value(count, channel_id=channel_id) for count in _COUNTS_OF_CHANNEL])


async def events(reader: Reader, given: dict[str, Any], limit: int, offset: int) -> tuple[list[Row], int]:
    """Return the events that pass the filters `given` (keys of `_FILTERS`), newest first, and how many there are."""
    page, count = _chosen(frozenset(given))
    rows = await reader.fetch_all(page, **given, limit=limit, offset=offset)
    if not given:  # numbers of the chain have no gaps, and counting all would take as long as the trail
        return rows, (await last_sealed(reader))[0] + await count_unsealed(reader)
    return rows, int(await reader.fetch_value(count, **given))


@cache
def _chosen(names: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    where = [_FILTERS[name] for name in sorted(names)]
    page = select(*_FIELDS).where(*where).order_by(event.c.at.desc(), event.c.id.desc())
    count = select(func.count()).select_from(event).where(*where)
    return page.limit(bindparam("limit")).offset(bindparam("offset")), count


async def unsealed(reader: Reader, limit: int) -> list[Row]:
    """Return the oldest events that are not in the chain yet."""
    return await reader.fetch_all(_UNSEALED, limit=limit)


async def count_unsealed(reader: Reader) -> int:
    """Return the length of the unsealed tail."""
    return int(await reader.fetch_value(_COUNT_UNSEALED))


async def last_sealed(reader: Reader) -> tuple[int, bytes]:
    """Return the number and the hash of the chain's end; (0, empty) before the first event."""
    row = await reader.fetch_one(_LAST_SEALED)
    return (row[0], bytes(row[1])) if row else (0, b"")


async def seal(unit: Unit, links: list[dict[str, Any]]) -> None:
    """Store number, hash and signature of events (`event_id`, `new_seq`, `new_hash`, `new_signature`)."""
    await unit.execute_many(_SEAL, links)


async def find_link(reader: Reader, seq: int) -> tuple[bytes, bytes | None] | None:
    """Return hash and signature of the event with that number; None when the chain does not reach so far."""
    row = await reader.fetch_one(_LINK, seq=seq)
    return (bytes(row[0]), None if row[1] is None else bytes(row[1])) if row else None


def sealed_events(
    db: Database, after: int = 0, given: Mapping[str, Any] = _ALL, *, upto: int = _END
) -> AsyncIterator[list[Row]]:
    """Stream the chain behind a number, as far as another one; of it what passes the filters `given`, as `events`.

    Rows are `SEALED`, then number, hash and signature.
    """
    return db.stream(_sealed(frozenset(given)), after=after, upto=upto, **given)


@cache
def _sealed(names: frozenset[str]) -> Select[Any]:
    where = [_FILTERS[name] for name in sorted(names)]
    fields = (*SEALED, event.c.seq, event.c.hash, event.c.signature)
    return (
        select(*fields)
        .where(event.c.seq > bindparam("after"), event.c.seq <= bindparam("upto"), *where)
        .order_by(event.c.seq)
    )
