"""Queries of who wants to be told what is newly found in a channel, and where they get mail."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, or_, select

from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.notifications.tables import mail_address, silent_channel, subscription
from packhouse.catalog.people_tables import account
from packhouse.catalog.rights.permissions import Decision, permit
from packhouse.catalog.rights.visibility import target_of
from packhouse.catalog.schema import channel
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader


class Recipient(NamedTuple):
    """Somebody who is told about a channel."""

    account_id: int
    username: str
    address: str | None  #: for mail; None: nobody said one


class Subscription(NamedTuple):
    """A channel of which somebody could be told, or said they do not want to be."""

    path: str
    wanted: bool
    silent: bool  #: nobody is told of this channel


_SILENT = select(silent_channel.c.channel_id).where(silent_channel.c.channel_id == bindparam("channel_id"))
_SILENCE = "INSERT INTO silent_channel (channel_id) VALUES (:channel_id) ON CONFLICT (channel_id) DO NOTHING"
_END_SILENCE = delete(silent_channel).where(silent_channel.c.channel_id == bindparam("channel_id"))
_WANT = """INSERT INTO subscription (channel_id, account_id, wanted) VALUES (:channel_id, :account_id, :wanted)
 ON CONFLICT (channel_id, account_id) DO UPDATE SET wanted = excluded.wanted"""
_RECIPIENTS = (
    select(account.c.id, account.c.username, mail_address.c.address)
    .select_from(
        account.outerjoin(
            subscription,
            and_(subscription.c.account_id == account.c.id, subscription.c.channel_id == bindparam("channel_id")),
        ).outerjoin(mail_address, mail_address.c.account_id == account.c.id)
    )
    .where(
        account.c.disabled_at.is_(None),
        or_(
            subscription.c.wanted.is_(True),
            and_(account.c.id == bindparam("owner_id"), subscription.c.wanted.is_(None)),
        ),
    )
    .order_by(account.c.username)
)
_OF_ACCOUNT = (
    select(channel.c.path, func.coalesce(subscription.c.wanted, True), silent_channel.c.channel_id.is_not(None))
    .select_from(
        channel.outerjoin(
            subscription,
            and_(subscription.c.channel_id == channel.c.id, subscription.c.account_id == bindparam("account_id")),
        ).outerjoin(silent_channel, silent_channel.c.channel_id == channel.c.id)
    )
    .where(
        channel.c.path.is_not(None),
        or_(channel.c.owner_id == bindparam("account_id"), subscription.c.wanted.is_not(None)),
    )
    .order_by(channel.c.path)
)
_ADDRESS = select(mail_address.c.address).where(mail_address.c.account_id == bindparam("account_id"))
_SET_ADDRESS = """INSERT INTO mail_address (account_id, address) VALUES (:account_id, :address)
 ON CONFLICT (account_id) DO UPDATE SET address = excluded.address"""
_DROP_ADDRESS = delete(mail_address).where(mail_address.c.account_id == bindparam("account_id"))
_DROP_SUBSCRIPTIONS = delete(subscription).where(subscription.c.account_id == bindparam("account_id"))


async def is_silent(reader: Reader, channel_id: int) -> bool:
    """Tell whether nobody is told about a channel."""
    return await reader.fetch_value(_SILENT, channel_id=channel_id) is not None


async def set_silent(unit: Unit, channel_id: int, silent: bool) -> bool:
    """Let nobody be told about a channel, or again those who want to; return whether that is a change."""
    return bool(await unit.execute(_SILENCE if silent else _END_SILENCE, channel_id=channel_id))


async def want(unit: Unit, channel_id: int, account_id: int, wanted: bool) -> None:
    """Say whether somebody wants to be told about a channel."""
    await unit.execute(_WANT, channel_id=channel_id, account_id=account_id, wanted=wanted)


async def recipients(reader: Reader, of: Channel) -> list[Recipient]:
    """Return who is told about a channel, by name: who wants to be, is not disabled, and has the right now."""
    found = []
    rows = await reader.fetch_all(_RECIPIENTS, channel_id=of.id, owner_id=of.owner_id)
    for account_id, username, address in rows:
        person = (await holding_of(reader, account_id)).principal(account_id, username)
        target = await target_of(reader, person, of)
        if permit(person, "notification:view", target) is Decision.ALLOWED:
            found.append(Recipient(account_id, username, address or _spoken(username)))
    return found


async def of_account(reader: Reader, account_id: int) -> list[Subscription]:
    """Return the channels somebody owns or said something about, by path."""
    rows = await reader.fetch_all(_OF_ACCOUNT, account_id=account_id)
    return [Subscription(row[0], bool(row[1]), bool(row[2])) for row in rows]


async def address_of(reader: Reader, account_id: int, username: str) -> str | None:
    """Return where somebody gets mail: the address they said, or their name if it is one."""
    said: str | None = await reader.fetch_value(_ADDRESS, account_id=account_id)
    return said or _spoken(username)


async def set_address(unit: Unit, account_id: int, address: str) -> None:
    """Let somebody get mail at an address; empty: at their name, if it is one."""
    if address:
        await unit.execute(_SET_ADDRESS, account_id=account_id, address=address)
    else:
        await unit.execute(_DROP_ADDRESS, account_id=account_id)


async def forget_account(unit: Unit, account_id: int) -> None:
    """Forget what a deleted account wanted, and its address."""
    await unit.execute(_DROP_SUBSCRIPTIONS, account_id=account_id)
    await unit.execute(_DROP_ADDRESS, account_id=account_id)


def _spoken(username: str) -> str | None:
    return username if "@" in username else None
