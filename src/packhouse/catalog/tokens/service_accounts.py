"""Service accounts: one for a channel, without a password or a role; what it may is what it was granted.

Machines use its tokens, so that nothing they do ends when a person leaves.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, func, or_, select

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import SERVICE_PREFIX, Account
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.people_tables import account
from packhouse.catalog.rights.permissions import Level
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.rights.visibility import VISIBLE, held, viewer
from packhouse.catalog.schema import channel
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError

_NAME_OF = select(account.c.username).where(account.c.service_channel_id == bindparam("of_channel"))
_BIND = "UPDATE account SET service_channel_id = :of_channel WHERE id = :account_id"
_COLUMNS = (account.c.id, account.c.username, channel.c.path, account.c.created_at, account.c.disabled_at)
_JOINED = account.join(channel, channel.c.id == account.c.service_channel_id)
_MANAGED = (VISIBLE, or_(bindparam("everyones") == 1, held(Level.MANAGE)))
_PAGE = (
    select(*_COLUMNS)
    .select_from(_JOINED)
    .where(*_MANAGED)
    .order_by(channel.c.path)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_COUNT = select(func.count()).select_from(_JOINED).where(*_MANAGED)
_OF_CHANNEL = select(*_COLUMNS).select_from(_JOINED).where(channel.c.id == bindparam("of_channel"))
_RAISE = """INSERT INTO channel_grant (channel_id, user_id, level) VALUES (:of_channel, :account_id, :level)
 ON CONFLICT (channel_id, user_id) DO UPDATE SET level = excluded.level WHERE channel_grant.level < excluded.level"""


class ServiceAccount(msgspec.Struct, frozen=True):
    """A service account as lists show it; times in microseconds since the epoch."""

    id: int
    username: str
    channel: str  #: path of the channel it belongs to
    created_at: int
    disabled_at: int | None


async def ensure(unit: Unit, on: Channel, actor: str) -> ServiceAccount:
    """Return the service account of a channel, made now if there is none. Raises PackhouseError("not_found")."""
    if await channels.hold(unit, on.id) is None:  # two that make it come in turn
        raise PackhouseError("not_found", "The channel is gone.", "List the channels to see what there is.")
    if (there := await of_channel(unit, on.id)) is not None:
        return there
    name = SERVICE_PREFIX + on.path.replace("/", ".")  # no channel's name has a dot
    # a channel that was renamed keeps its account, whose name another one of that name then cannot have
    made = await store.insert_account(unit, name, None, "service")
    if made is None:
        name = f"{name}.{on.id}"
        made = await store.insert_account(unit, name, None, "service")
    await unit.execute(_BIND, of_channel=on.id, account_id=made)
    await record_event(
        unit, type="service_account_created", actor=actor, object=on.path, channel_id=on.id, data={"username": name}
    )
    found = await of_channel(unit, on.id)
    assert found is not None  # we have just made it
    return found


async def end(unit: Unit, channel_id: int, actor: str) -> None:
    """Delete the service account of a channel that is deleted, if it has one: its tokens stop, on every channel."""
    username = await unit.fetch_value(_NAME_OF, of_channel=channel_id)
    found: Account | None = await store.by_name(unit, username) if username else None
    if found is None:
        return
    await store.delete_account(unit, found.id)
    await record_event(unit, type="user_deleted", actor=actor, object=f"user {found.username}", channel_id=channel_id)
    await note(unit, "account", name=found.username)


async def of_channel(reader: Reader, channel_id: int) -> ServiceAccount | None:
    """Return the service account of a channel that is not deleted."""
    row = await reader.fetch_one(_OF_CHANNEL, of_channel=channel_id)
    return ServiceAccount(*row) if row else None


async def page(reader: Reader, principal: Principal, limit: int, offset: int) -> tuple[list[ServiceAccount], int]:
    """Return those of the channels the caller manages, by channel, and how many there are."""
    values = {**viewer(principal), "everyones": int(principal.role == "admin")}
    rows = await reader.fetch_all(_PAGE, limit=limit, offset=offset, **values)
    return [ServiceAccount(*row) for row in rows], int(await reader.fetch_value(_COUNT, **values))


async def raise_grant(unit: Unit, account_id: int, channel_id: int, level: Level) -> None:
    """Give a service account a level on a channel, where it has a lower one."""
    await unit.execute(_RAISE, of_channel=channel_id, account_id=account_id, level=int(level))
