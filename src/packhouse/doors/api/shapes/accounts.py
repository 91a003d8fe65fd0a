"""Accounts on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from packhouse.catalog.accounts.account import DIRECTORY, Account
from packhouse.catalog.rights.permissions import Level
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import AccountKind, Role, RoleLevel
from packhouse.workflows.signin.administering import Person


class UserPart(msgspec.Struct, kw_only=True):
    """The caller, as the `anaconda` command reads it."""

    id: str
    email: str
    username: str
    first_name: str = ""
    last_name: str = ""


class ProfilePart(msgspec.Struct, kw_only=True):
    """The state of the caller's account."""

    is_confirmed: bool  #: whether the e-mail address was verified
    is_disabled: bool
    has_second_factor: bool


class AccountShape(msgspec.Struct, kw_only=True):
    """The caller's account: the union of what two families of clients read at one address."""

    user_id: str
    username: str
    roles: list[str]
    dbroles: list[str]
    default_channel_name: str | None
    permissions: dict[str, RoleLevel]  #: by category: what the caller's roles give, without channels they own or share
    user: UserPart
    profile: ProfilePart
    subscriptions: list[dict[str, Any]] = []
    organization_features: dict[str, Any] = {}


class UserShape(msgspec.Struct, kw_only=True):
    """An account as administrators see it."""

    id: int
    uuid: str
    username: str
    kind: AccountKind
    role: Role  #: the highest of the three that every installation has
    roles: list[str]  #: its own, not those of its groups
    email: str
    email_verified: bool
    first_name: str
    last_name: str
    provider: str | None  #: who vouches for them; null: this installation
    disabled: bool
    disabled_at: str | None  #: RFC 3339
    disabled_by: str | None  #: who did, as administrators see it; `directory`: the provider, which alone lets them in
    second_factor: bool
    last_login_at: str | None  #: RFC 3339
    created_at: str  #: RFC 3339


def account_shape(
    account: Account, roles: list[str], levels: Mapping[str, Level], default_channel: str | None
) -> AccountShape:
    """Fill the shape of the caller's account: its roles, their levels by category, and its default channel."""
    email = account.email or (account.username if "@" in account.username else "")
    return AccountShape(
        user_id=account.uuid,
        username=account.username,
        roles=roles,
        dbroles=roles,
        default_channel_name=default_channel,
        permissions={category: level.name.lower() for category, level in levels.items()},
        user=UserPart(
            id=account.uuid,
            email=email,
            username=account.username,
            first_name=account.first_name,
            last_name=account.last_name,
        ),
        profile=ProfilePart(
            is_confirmed=bool(account.email_verified),
            is_disabled=account.disabled_at is not None,
            has_second_factor=account.totp_since is not None,
        ),
    )


def user_shape(caller: Principal, person: Person) -> UserShape:
    """Fill the shape of an account; administrators have names only for each other."""
    account, roles, provider = person
    tells = caller.role == "admin" or account.disabled_by == DIRECTORY
    return UserShape(
        id=account.id,
        uuid=account.uuid,
        username=account.username,
        kind=account.kind,
        role=account.role,
        roles=roles,
        email=account.email,
        email_verified=bool(account.email_verified),
        first_name=account.first_name,
        last_name=account.last_name,
        provider=provider,
        disabled=account.disabled_at is not None,
        disabled_at=to_iso(account.disabled_at),
        disabled_by=(account.disabled_by or None) if tells else None,
        second_factor=account.totp_since is not None,
        last_login_at=to_iso(account.last_login_at),
        created_at=to_iso(account.created_at) or "",
    )
