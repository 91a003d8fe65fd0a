"""Queries of digests and their deliveries: what was found new in a channel, and to whom that is sent.

A delivery is tried by whoever claims it: until its `next_at` nobody else does. Once it is sent it stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update

from packhouse.catalog.notifications.tables import delivery, digest, webhook
from packhouse.catalog.people_tables import account
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class Digest(NamedTuple):
    """What was found new in a channel. `at` is in microseconds, `body` JSON (workflows.notifying.digests.Digest)."""

    id: int
    at: int
    body: str


class Delivery(NamedTuple):
    """A digest on its way to an account by mail, or to a webhook. Times are microseconds."""

    id: int
    uuid: str
    digest_id: int
    channel_id: int
    account_id: int | None
    webhook_id: int | None
    state: str  #: pending | sent | failed | dropped
    attempts: int
    next_at: int
    sent_at: int | None
    error: str  #: of the last attempt


PENDING, SENT, FAILED, DROPPED = "pending", "sent", "failed", "dropped"

_COLUMNS = tuple(delivery.c[name] for name in Delivery._fields)
_ADD_DIGEST = """INSERT INTO digest (channel_id, upto, at, body) VALUES (:channel_id, :upto, :at, :body)
 ON CONFLICT (channel_id, upto) DO NOTHING RETURNING id"""
_ADD_DELIVERY = """INSERT INTO delivery
 (uuid, digest_id, channel_id, account_id, webhook_id, state, attempts, next_at, error)
 VALUES (:uuid, :digest_id, :channel_id, :account_id, :webhook_id, 'pending', 0, :at, '')"""
_DUE = (
    select(delivery.c.id)
    .where(delivery.c.state == PENDING, delivery.c.next_at <= bindparam("now"))
    .order_by(delivery.c.next_at)
    .limit(bindparam("limit"))
)
_CLAIM = (
    update(delivery)
    .where(any_of(delivery.c.id, "ids"), delivery.c.state == PENDING, delivery.c.next_at <= bindparam("now"))
    .values(attempts=delivery.c.attempts + 1, next_at=bindparam("until"))
    .returning(*_COLUMNS)
)
_SETTLE = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"), delivery.c.state == PENDING)
    .values(
        state=bindparam("new_state"),
        next_at=bindparam("new_next"),
        sent_at=bindparam("new_sent"),
        error=bindparam("new_error"),
    )
)
_AGAIN = (
    update(delivery)
    .where(delivery.c.channel_id == bindparam("of_channel"), delivery.c.state == FAILED)
    .values(state=PENDING, attempts=0, next_at=bindparam("now"))
)
_THESE_AGAIN = _AGAIN.where(any_of(delivery.c.uuid, "uuids"))
_DROP_OF_HOOK = (
    update(delivery)
    .where(delivery.c.webhook_id == bindparam("hook_id"), delivery.c.state == PENDING)
    .values(state=DROPPED, error="The webhook was removed.")
)
_BODIES = select(digest.c.id, digest.c.body).where(any_of(digest.c.id, "ids"))
_DIGESTS = (
    select(digest.c.id, digest.c.at, digest.c.body)
    .where(digest.c.channel_id == bindparam("channel_id"))
    .order_by(digest.c.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_COUNT_DIGESTS = select(func.count()).where(digest.c.channel_id == bindparam("channel_id"))
_TO: ColumnElement[str] = func.coalesce("mail:" + account.c.username, "webhook:" + webhook.c.uuid, "")
_DELIVERIES = (
    select(*_COLUMNS, _TO)
    .select_from(
        delivery.outerjoin(account, account.c.id == delivery.c.account_id).outerjoin(
            webhook, webhook.c.id == delivery.c.webhook_id
        )
    )
    .where(delivery.c.channel_id == bindparam("channel_id"))
    .order_by(delivery.c.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_COUNT_DELIVERIES = select(func.count()).where(delivery.c.channel_id == bindparam("channel_id"))
_OLD = select(digest.c.id).where(digest.c.at < bindparam("before")).order_by(digest.c.id).limit(bindparam("limit"))
_DROP_DELIVERIES = delete(delivery).where(any_of(delivery.c.digest_id, "ids"))
_DROP_DIGESTS = delete(digest).where(any_of(digest.c.id, "ids"))
#: digests removed by one unit
_FORGOTTEN = 200


async def add_digest(unit: Unit, channel_id: int, upto: int, body: str) -> int | None:
    """Keep the digest of a round of news for a channel; return its number, None when that channel has it."""
    made: int | None = await unit.fetch_value(_ADD_DIGEST, channel_id=channel_id, upto=upto, at=unit.now, body=body)
    return made


async def add_delivery(
    unit: Unit, uuid: str, digest_id: int, channel_id: int, *, account_id: int | None = None, hook: int | None = None
) -> None:
    """Let a digest be sent to an account or a webhook, as soon as may be."""
    await unit.execute(
        _ADD_DELIVERY,
        uuid=uuid,
        digest_id=digest_id,
        channel_id=channel_id,
        account_id=account_id,
        webhook_id=hook,
        at=unit.now,
    )


async def due(reader: Reader, now: int, limit: int) -> list[int]:
    """Return the deliveries whose time has come, the longest waiting first."""
    return [row[0] for row in await reader.fetch_all(_DUE, now=now, limit=limit)]


async def claim(unit: Unit, ids: Sequence[int], microseconds: int) -> list[Delivery]:
    """Take deliveries that nobody else tries; unless they are settled, they are due again after that time."""
    rows = await unit.fetch_all(_CLAIM, ids=list(ids), now=unit.now, until=unit.now + microseconds)
    return [Delivery(*row) for row in rows]


async def settle(unit: Unit, one: Delivery, state: str, error: str = "", next_at: int | None = None) -> bool:
    """Write down how an attempt ended; False when that was written down already."""
    return bool(
        await unit.execute(
            _SETTLE,
            delivery_id=one.id,
            new_state=state,
            new_next=one.next_at if next_at is None else next_at,
            new_sent=unit.now if state == SENT else None,
            new_error=error,
        )
    )


async def again(unit: Unit, channel_id: int, uuids: Sequence[str] | None) -> int:
    """Let deliveries of a channel that failed be tried anew, or every one that did; return how many."""
    if uuids is None:
        return await unit.execute(_AGAIN, of_channel=channel_id, now=unit.now)
    return await unit.execute(_THESE_AGAIN, of_channel=channel_id, uuids=list(uuids), now=unit.now)


async def drop_of_hook(unit: Unit, hook_id: int) -> None:
    """Let nothing more be sent to a webhook."""
    await unit.execute(_DROP_OF_HOOK, hook_id=hook_id)


async def bodies(reader: Reader, ids: Sequence[int]) -> dict[int, str]:
    """Return digest → its JSON."""
    return {row[0]: row[1] for row in await reader.fetch_all(_BODIES, ids=list(ids))} if ids else {}


async def digests(reader: Reader, channel_id: int, limit: int, offset: int) -> tuple[list[Digest], int]:
    """Return the digests of a channel, the latest first, and how many there are."""
    rows = await reader.fetch_all(_DIGESTS, channel_id=channel_id, limit=limit, offset=offset)
    return [Digest(*row) for row in rows], int(await reader.fetch_value(_COUNT_DIGESTS, channel_id=channel_id))


async def deliveries(
    reader: Reader, channel_id: int, limit: int, offset: int
) -> tuple[list[tuple[Delivery, str]], int]:
    """Return the deliveries of a channel, the latest first, each with its recipient, and how many there are.

    The recipient is `mail:USERNAME`, `webhook:UUID`, or empty when that is gone.
    """
    rows = await reader.fetch_all(_DELIVERIES, channel_id=channel_id, limit=limit, offset=offset)
    return [(Delivery(*row[:-1]), row[-1]) for row in rows], int(
        await reader.fetch_value(_COUNT_DELIVERIES, channel_id=channel_id)
    )


async def forget_old(unit: Unit, before: int) -> int:
    """Remove some digests from before a time, with their deliveries; return how many."""
    ids = [row[0] for row in await unit.fetch_all(_OLD, before=before, limit=_FORGOTTEN)]
    await unit.execute(_DROP_DELIVERIES, ids=ids)
    await unit.execute(_DROP_DIGESTS, ids=ids)
    return len(ids)
