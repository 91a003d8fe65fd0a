"""What people change of their own account."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account, check_name
from packhouse.catalog.accounts.passwords import check_strength, hash_password
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.workflows.people import accounts


class ProfileEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be otherwise; UNSET: as it is."""

    first_name: str | UnsetType = UNSET
    last_name: str | UnsetType = UNSET
    default_channel: Channel | UnsetType | None = UNSET  #: None: none


async def edit(db: Database, caller: Principal, wanted: ProfileEdit) -> None:
    """Change what `wanted` names of the caller's account. Raises PackhouseError: `bad_request`, `unauthenticated`."""
    names = {"first_name": wanted.first_name, "last_name": wanted.last_name}
    values: dict[str, Any] = {name: check_name(value) for name, value in names.items() if value is not UNSET}

    async def work(unit: Unit) -> None:
        account = await _own(unit, caller)
        await accounts.change_profile(unit, account, values, caller.username)
        if wanted.default_channel is not UNSET:
            await set_default_channel(unit, account, wanted.default_channel, caller.username)

    await db.write(work)


async def set_default_channel(unit: Unit, account: Account, channel: Channel | None, actor: str) -> None:
    """Let uploads that name no channel go to `channel`, or nowhere."""
    number = channel.id if channel else None
    if account.default_channel_id == number:
        return
    await store.edit_profile(unit, account.id, {"default_channel_id": number})
    await record_event(
        unit,
        type="user_default_channel_updated",
        actor=actor,
        object=f"user {account.username}",
        channel_id=number,
        data={"to": channel.path if channel else None},
    )


async def change_password(db: Database, caller: Principal, password: str) -> None:
    """Set the caller's password, after the old one was checked; every other login of theirs ends.

    Raises PackhouseError: `bad_request`, `conflict` when another system checks it, `unauthenticated`.
    """
    hashed = await hash_password(check_strength(password))

    async def work(unit: Unit) -> None:
        await require_standing(unit, caller)
        account = await _own(unit, caller)
        shown = await logins.by_uuid(unit, caller.login_id) if caller.login_id else None
        await accounts.change_password(unit, account, hashed, caller.username, but=shown.id if shown else None)

    await db.write(work)


async def _own(reader: Reader, caller: Principal) -> Account:
    account = await store.by_id(reader, caller.account_id or 0)
    if account is None:
        raise PackhouseError("unauthenticated", "The account is gone.", "Log in again.")
    return account
