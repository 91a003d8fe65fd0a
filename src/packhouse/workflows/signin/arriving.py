"""Somebody logs in: through a provider they get their account at the first time, and everybody a channel of their own.

Who comes through a provider is known by its subject, never by a name: a name that somebody has here already is refused,
and only a mail address that both sides verified can join the two, if the identity file allows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import DIRECTORY, NAME_LENGTH, RESERVED, USERNAME, Account, check_email
from packhouse.catalog.accounts.assigning import RoleRow, all_roles
from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups.membership import replace
from packhouse.catalog.identities import store as identities
from packhouse.catalog.rights.permissions import INSTALLATION, Action, Decision, permit
from packhouse.catalog.roles.role import ADMIN
from packhouse.catalog.roles.store import default_ids
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.creating import create_channel
from packhouse.workflows.people import accounts
from packhouse.workflows.services import Services
from packhouse.workflows.signin.mapping import ensure_groups
from packhouse.workflows.signin.profile import set_default_channel

_ILLEGAL_IN_USERNAME = re.compile(r"[^a-z0-9._@+-]")
_ILLEGAL_IN_CHANNEL = re.compile(r"[^a-z0-9_-]")
_OWN_CHANNEL: tuple[Action, ...] = ("channel:create", "channel.default-channel:edit")


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of somebody who has just logged in there."""

    provider_id: int
    subject: str  #: what it never gives to somebody else
    username: str
    email: str
    email_verified: bool
    first_name: str
    last_name: str
    groups: frozenset[str]  #: by its own names
    roles: frozenset[str]  #: by ours; those that do not exist here are left out
    external: str = ""  #: what it calls them: a DN or a name


async def arrive(
    services: Services,
    arrival: Arrival,
    *,
    link_by_email: bool,
    mapping: Mapping[str, str],
    admin_roles: frozenset[str],
) -> Account:
    """Return the account of whom a provider vouches for, which is made at the first time; groups and roles follow.

    `mapping` is the provider's group → ours as the identity file has it, `admin_roles` the names of roles that may
    make an administrator. Raises PackhouseError: `account_taken` when somebody else has that name here,
    `unauthenticated` for a disabled account.
    """

    async def work(unit: Unit) -> Account:
        account = await _known(unit, arrival, link_by_email) or await _newcomer(unit, arrival)
        account = await _admitted(unit, account, arrival.provider_id)
        await identities.remember(unit, arrival.provider_id, arrival.subject, account.id, arrival.external)
        await identities.confirm(unit, [account.id])
        if account.provider_id == arrival.provider_id:
            await accounts.change_profile(unit, account, _profile(account, arrival), account.username)
        groups = await ensure_groups(unit, arrival.provider_id, mapping, arrival.groups, DIRECTORY)
        roles = _roles(await all_roles(unit), arrival.roles, admin_roles)
        if await accounts.keeps_last_admin(unit, account, arrival.provider_id, roles):
            roles.append(ADMIN)
        await replace(unit, account.id, arrival.provider_id, set(groups.values()), roles)
        return await store.found(unit, account.username)

    try:
        return await services.db.write(work)
    except PackhouseError as refusal:
        if refusal.code != "conflict":
            raise
        return await services.db.write(work)  # somebody of that name came at the same time: perhaps the same one


async def logged_in(services: Services, account: Account) -> Account:
    """Note that a login has begun, which is more than to be known; at the first time they get a channel of their own.

    None where that cannot be. Return the account as it is now.
    """
    first = account.last_login_at is None and account.kind == "person" and account.default_channel_id is None
    own = await _own_channel(services, account) if first else None

    async def work(unit: Unit) -> Account:
        await store.set_last_login(unit, account.id)
        if own is not None:
            await set_default_channel(unit, account, own, account.username)
        return await store.by_id(unit, account.id) or account

    return await services.db.write(work)


def channel_name(username: str) -> str:
    """Return what somebody's own channel is called: of a mail address its local part, what is illegal as `_`.

    What begins with no letter is no name of a channel, and they get none.
    """
    return _ILLEGAL_IN_CHANNEL.sub("_", username.partition("@")[0].lower())


def user_name(claimed: str) -> str:
    """Return the user name here of somebody a provider calls so. Raises PackhouseError("account_taken")."""
    name = _ILLEGAL_IN_USERNAME.sub("_", claimed.strip().lower())
    if not USERNAME.fullmatch(name) or name in RESERVED:
        raise _taken(claimed)
    return name


async def _known(unit: Unit, arrival: Arrival, link_by_email: bool) -> Account | None:
    """Return the account that the subject has here, or may be joined with."""
    number = await identities.account_of(unit, arrival.provider_id, arrival.subject)
    if number is not None:
        return await store.by_id(unit, number)
    if not (link_by_email and arrival.email_verified and arrival.email):
        return None
    found = await store.by_verified_email(unit, arrival.email)
    return found[0] if len(found) == 1 else None


async def _newcomer(unit: Unit, arrival: Arrival) -> Account:
    name = user_name(arrival.username)
    if await store.by_name(unit, name) is not None:
        raise _taken(name)
    defaults = await default_ids(unit)
    roles = [one for one in (await all_roles(unit)).values() if one.id in defaults and not one.admin]
    return await accounts.create_account(unit, username=name, roles=roles, provider_id=arrival.provider_id)


async def _admitted(unit: Unit, account: Account, provider_id: int) -> Account:
    """Return the account enabled, if it was the provider that had disabled it. Raises PackhouseError."""
    if account.disabled_at is None:
        return account
    if account.provider_id != provider_id or account.disabled_by != DIRECTORY:
        raise PackhouseError(
            "unauthenticated", "The account is disabled.", "Ask an administrator whether it shall work again."
        )
    await accounts.disable(unit, account, False, DIRECTORY)
    return await store.found(unit, account.username)


def _profile(account: Account, arrival: Arrival) -> dict[str, Any]:
    """Return what the provider says of somebody; what it does not say stays."""
    try:
        email = check_email(arrival.email)
    except PackhouseError:
        email = ""
    said = {"first_name": arrival.first_name[:NAME_LENGTH], "last_name": arrival.last_name[:NAME_LENGTH]}
    verified = {"email": email, "email_verified": arrival.email_verified} if email else {}
    return {**{name: value for name, value in said.items() if value}, **verified}


def _roles(known: Mapping[str, RoleRow], said: frozenset[str], admin_roles: frozenset[str]) -> list[int]:
    named = [known[name] for name in sorted(said) if name in known and name != "everyone"]
    return [one.id for one in named if not one.admin or one.name in admin_roles]


async def _own_channel(services: Services, account: Account) -> Channel | None:
    """Make the channel of a newcomer; none if its name is none or is taken, or if they may not make one."""
    name = channel_name(account.username)
    who = (await holding_of(services.db, account.id)).principal(account.id, account.username)
    if any(permit(who, action, INSTALLATION) is not Decision.ALLOWED for action in _OWN_CHANNEL):
        return None
    privacy = services.settings.default_channel_privacy
    try:
        return await create_channel(services, who, name, frozenset(services.reserved), description="", privacy=privacy)
    except PackhouseError as refusal:
        if refusal.code not in ("bad_request", "name_reserved", "conflict"):
            raise
    stands = await channels.by_path(services.db, name)
    # theirs from a first login that broke off after it was made, or that is under way beside this one
    return stands if stands is not None and stands.owner_id == account.id else None


def _taken(name: str) -> PackhouseError:
    return PackhouseError(
        "account_taken",
        f"{name[:80]!r} is no name you can have here: another account has it, or it is no user name.",
        "Ask an administrator: “From local accounts to a provider” in docs/sign-in.md says what helps.",
    )
