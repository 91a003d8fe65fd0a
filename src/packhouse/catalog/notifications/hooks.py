"""Queries of webhooks: where else a channel's notifications go.

The path of a webhook's address is often its secret, so that the address is sealed like the secret that signs.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from packhouse.catalog.notifications.tables import webhook
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.sealing import Sealer, is_sealed
from packhouse.core.webhooks import Webhook, origin_of


class Hook(NamedTuple):
    """A webhook of a channel. `at` is in microseconds."""

    id: int
    uuid: str
    channel_id: int
    url: str  #: its origin, which may be shown
    secret: bytes  #: sealed: the whole address, and what signs
    by: str
    at: int


_COLUMNS = tuple(webhook.c[name] for name in Hook._fields)
_OF_CHANNEL = select(*_COLUMNS).where(webhook.c.channel_id == bindparam("channel_id")).order_by(webhook.c.id)
_BY_ID = select(*_COLUMNS).where(webhook.c.id == bindparam("hook_id"))
_ADD = insert(webhook).values({name: bindparam(f"new_{name}") for name in Hook._fields[1:]}).returning(webhook.c.id)
_DROP = (
    delete(webhook)
    .where(webhook.c.uuid == bindparam("hook_uuid"), webhook.c.channel_id == bindparam("of_channel"))
    .returning(webhook.c.id)
)
_SOME = select(*_COLUMNS).where(webhook.c.id > bindparam("after")).order_by(webhook.c.id).limit(bindparam("limit"))
_SEAL = (
    update(webhook)
    .where(webhook.c.id == bindparam("number"))
    .values(url=bindparam("new_url"), secret=bindparam("new_secret"))
)


def seal(sealer: Sealer, uuid: str, whole: Webhook) -> bytes:
    """Return what is kept of a webhook."""
    return sealer.seal(msgspec.json.encode([whole.url, whole.secret]), _about(uuid))


def unseal(sealer: Sealer, one: Hook) -> Webhook:
    """Return where a webhook goes, and what signs. Raises PackhouseError("internal") when that does not open."""
    url, secret = msgspec.json.decode(sealer.open(bytes(one.secret), _about(one.uuid)), type=tuple[str, str])
    return Webhook(url, secret)


def _about(uuid: str) -> str:
    return f"webhook {uuid}"


async def seal_readable(unit: Unit, sealer: Sealer, after: int, limit: int = 500) -> tuple[int, int]:
    """Look at the next webhooks above an id and seal those that lie in the database readably.

    Returns how many those were, and the id of the last one looked at; 0: there is none above `after`.
    """
    found = [Hook(*row) for row in await unit.fetch_all(_SOME, after=after, limit=limit)]
    rows = [
        {
            "number": one.id,
            "new_url": origin_of(one.url),
            "new_secret": seal(sealer, one.uuid, Webhook(one.url, bytes(one.secret).decode())),
        }
        for one in found
        if not is_sealed(bytes(one.secret))
    ]
    if rows:
        await unit.execute_many(_SEAL, rows)
    return len(rows), found[-1].id if found else 0


async def of_channel(reader: Reader, channel_id: int) -> list[Hook]:
    """Return the webhooks of a channel, oldest first."""
    return [Hook(*row) for row in await reader.fetch_all(_OF_CHANNEL, channel_id=channel_id)]


async def by_id(reader: Reader, hook_id: int) -> Hook | None:
    """Return a webhook."""
    row = await reader.fetch_one(_BY_ID, hook_id=hook_id)
    return Hook(*row) if row else None


async def add(unit: Unit, one: Hook) -> Hook:
    """Keep a webhook, whatever its `id` says; return it with its own."""
    values = {f"new_{name}": value for name, value in one._asdict().items() if name != "id"}
    return one._replace(id=int(await unit.fetch_value(_ADD, **values)))


async def drop(unit: Unit, channel_id: int, uuid: str) -> int | None:
    """Remove a webhook of a channel; return its number, None when there is none."""
    found: int | None = await unit.fetch_value(_DROP, of_channel=channel_id, hook_uuid=uuid)
    return found
