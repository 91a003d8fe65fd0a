"""Queries of webhooks: where else a channel's notifications go."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from packhouse.catalog.notifications.tables import webhook
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader


class Hook(NamedTuple):
    """A webhook of a channel. `at` is in microseconds."""

    id: int
    uuid: str
    channel_id: int
    url: str
    secret: bytes
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
