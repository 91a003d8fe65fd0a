"""Queries of overlays: where a channel, under a ruleset, shows what that hides, or hides what that shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, select

from packhouse.catalog.judgement_tables import overlay
from packhouse.catalog.policies.verdicts import Pair
from packhouse.catalog.schema import channel, entry
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class Overlay(NamedTuple):
    """The reason of a channel for a pair. Times are microseconds."""

    channel_id: int
    ruleset_id: int
    record_id: int
    content_id: int
    rule: str  #: that hides; empty: it is shown
    missing: str  #: the dependency it lost, if it cannot be installed for that; else empty
    since: int
    until: int | None  #: when time alone ends it

    @property
    def pair(self) -> Pair:
        """What it is about."""
        return self.record_id, self.content_id


class Package(NamedTuple):
    """A package of a channel."""

    channel_id: int
    family: str
    name: str


_COLUMNS = tuple(overlay.c[name] for name in Overlay._fields)
_IN = and_(overlay.c.channel_id == bindparam("channel_id"), overlay.c.ruleset_id == bindparam("ruleset_id"))
_OF_RECORDS = select(*_COLUMNS).where(_IN, any_of(overlay.c.record_id, "ids"))
_ANY = select(overlay.c.rule).where(_IN).limit(1)
_FORGET = delete(overlay).where(
    overlay.c.record_id == bindparam("record"),
    overlay.c.content_id == bindparam("content"),
    overlay.c.channel_id == bindparam("channel"),
    overlay.c.ruleset_id == bindparam("ruleset"),
)
_PUT = """INSERT INTO overlay (channel_id, ruleset_id, record_id, content_id, rule, missing, since, until)
 VALUES (:channel_id, :ruleset_id, :record_id, :content_id, :rule, :missing, :since, :until)
 ON CONFLICT (record_id, content_id, channel_id, ruleset_id) DO UPDATE SET rule = excluded.rule,
 missing = excluded.missing, since = excluded.since, until = excluded.until"""
# What hid a file by the ruleset before tells that the index does not show it yet: it is needed until the index follows.
_NEEDED = exists().where(channel.c.id == overlay.c.channel_id, channel.c.settle_from == overlay.c.ruleset_id)
_OVER = and_(overlay.c.until <= bindparam("now"), ~_NEEDED)
_ENDED = select(*_COLUMNS).where(_OVER).order_by(overlay.c.until).limit(bindparam("limit"))
# Of entries that are as they were when the reason was written.
_NAMES = (
    select(entry.c.channel_id, entry.c.family, entry.c.name, entry.c.record_id, func.coalesce(entry.c.content_id, 0))
    .join_from(entry, channel, channel.c.id == entry.c.channel_id)
    .where(any_of(entry.c.record_id, "ids"), channel.c.path.is_not(None))
)
_FORGET_ENDED = _FORGET.where(_OVER)
# Of rulesets that neither hold in the channel nor are to: those of the past, and of entries that are gone.
_PAST = (
    select(overlay.c.record_id, overlay.c.content_id, overlay.c.channel_id, overlay.c.ruleset_id)
    .join_from(overlay, channel, channel.c.id == overlay.c.channel_id)
    .where(
        overlay.c.channel_id == bindparam("channel_id"),
        overlay.c.ruleset_id != channel.c.ruleset_id,
        (channel.c.next_ruleset_id.is_(None)) | (overlay.c.ruleset_id != channel.c.next_ruleset_id),
        (channel.c.settle_from.is_(None)) | (overlay.c.ruleset_id != channel.c.settle_from),
    )
    .limit(bindparam("limit"))
)


async def any_of_channel(reader: Reader, channel_id: int, ruleset_id: int) -> bool:
    """Say whether a channel has a reason of its own for anything under a ruleset."""
    return await reader.fetch_one(_ANY, channel_id=channel_id, ruleset_id=ruleset_id) is not None


async def of_records(reader: Reader, channel_id: int, ruleset_id: int, record_ids: Collection[int]) -> list[Overlay]:
    """Return the reasons of a channel under a ruleset for pairs of these records."""
    if not record_ids:
        return []
    rows = await reader.fetch_all(_OF_RECORDS, channel_id=channel_id, ruleset_id=ruleset_id, ids=list(record_ids))
    return [Overlay(*row) for row in rows]


async def replace(unit: Unit, gone: Iterable[Overlay], new: Sequence[Overlay]) -> None:
    """Forget reasons, and write others."""
    await unit.execute_many(_FORGET, [_place(one.record_id, one.content_id, *one[:2]) for one in gone])
    await unit.execute_many(_PUT, [one._asdict() for one in new])


async def ended(reader: Reader, now: int, limit: int) -> list[Overlay]:
    """Return reasons that time ended, those first that ended first; without those that an index is compared with."""
    return [Overlay(*row) for row in await reader.fetch_all(_ENDED, now=now, limit=limit)]


async def packages_of(reader: Reader, some: Collection[Overlay]) -> set[Package]:
    """Return the packages of channels that these reasons are about; one about what is gone is about none."""
    places = {(one.channel_id, *one.pair) for one in some}
    rows = await reader.fetch_all(_NAMES, ids=sorted({one.record_id for one in some})) if some else []
    return {Package(*row[:3]) for row in rows if (row[0], row[3], row[4]) in places}


async def forget_ended(unit: Unit, some: Iterable[Overlay], now: int) -> None:
    """Drop those of the reasons that are still ended, once nothing else was found to say."""
    places = [_place(one.record_id, one.content_id, *one[:2]) for one in some]
    await unit.execute_many(_FORGET_ENDED, [{**place, "now": now} for place in places])


async def forget_past(unit: Unit, channel_id: int, limit: int) -> int:
    """Drop reasons under rulesets that a channel has left; return how many."""
    rows = await unit.fetch_all(_PAST, channel_id=channel_id, limit=limit)
    await unit.execute_many(_FORGET, [_place(*row) for row in rows])
    return len(rows)


def _place(record: int, content: int, channel_id: int, ruleset: int) -> dict[str, int]:
    return {"record": record, "content": content, "channel": channel_id, "ruleset": ruleset}
