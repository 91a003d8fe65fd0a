"""Accounts on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.accounts.account import Account
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import Role


class UserPart(msgspec.Struct, kw_only=True):
    """The caller, as the `anaconda` command reads it."""

    id: str
    email: str
    username: str
    first_name: str = ""
    last_name: str = ""


class AccountShape(msgspec.Struct, kw_only=True):
    """The caller's account: the union of what two families of clients read at one address."""

    user_id: str
    username: str
    roles: list[str]
    dbroles: list[str]
    default_channel_name: str | None
    user: UserPart
    profile: dict[str, Any] = {}
    subscriptions: list[dict[str, Any]] = []


class UserShape(msgspec.Struct, kw_only=True):
    """An account as administrators see it."""

    id: int
    username: str
    role: Role
    disabled: bool
    created_at: str  #: RFC 3339


def account_shape(account: Account, default_channel: str | None) -> AccountShape:
    """Fill the shape of the caller's account."""
    email = account.username if "@" in account.username else ""
    return AccountShape(
        user_id=str(account.id),
        username=account.username,
        roles=[account.role],
        dbroles=[account.role],
        default_channel_name=default_channel,
        user=UserPart(id=str(account.id), email=email, username=account.username),
    )


def user_shape(account: Account) -> UserShape:
    """Fill the shape of an account."""
    return UserShape(
        id=account.id,
        username=account.username,
        role=account.role,
        disabled=account.disabled_at is not None,
        created_at=to_iso(account.created_at) or "",
    )
