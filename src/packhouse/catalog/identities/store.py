"""Queries of providers and of whom they vouch for. How a provider is asked stands in the identity file, not here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select, update

from packhouse.catalog.people_tables import account, account_role, group_member
from packhouse.catalog.sign_in_tables import group_mapping, identity, provider
from packhouse.core.db import Row, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError


class Sync(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How the synchronisation with a directory went; times in microseconds since the epoch."""

    state: str = ""  #: "" never | ok | failed | held (it would have shut out too many)
    tried_at: int = 0
    message: str = ""  #: why it failed or is held
    found: int = 0  #: people the directory has
    known: int = 0  #: of them, how many have an account here
    changed: int = 0  #: accounts that were changed
    disabled: int = 0  #: of them, those that are gone or may not come in any more
    asked_at: int = 0  #: when somebody asked for one that has not come to its end
    asked_by: str = ""
    accept_shrink: bool = False  #: whether it may shut out however many


class ProviderRow(NamedTuple):
    """A provider as the database knows it; times in microseconds."""

    id: int
    name: str
    kind: str
    synced_at: int | None
    sync: Sync


class Vouched(NamedTuple):
    """An account of somebody a provider knows."""

    account_id: int
    username: str
    subject: str
    external: str  #: what the provider calls them: a DN or a name
    own: bool  #: the account came through this provider, and stands and falls with its word
    disabled_by: str | None  #: None: it is not disabled
    profile: tuple[str, str, str]  #: mail address, first name, last name
    groups: frozenset[int]  #: by the provider's word
    roles: frozenset[int]  #: by the provider's word


_ROW = (provider.c.id, provider.c.name, provider.c.kind, provider.c.synced_at, provider.c.sync)
_BY_NAME = select(*_ROW).where(provider.c.name == bindparam("name"))
_LOCK = _BY_NAME.with_for_update()
_INSERT = "INSERT INTO provider (name, kind) VALUES (:name, :kind) ON CONFLICT (name) DO NOTHING"
_SET_SYNC = (
    update(provider)
    .where(provider.c.id == bindparam("provider_id"))
    .values(synced_at=bindparam("at"), sync=bindparam("state"))
)
_VOUCHED = (
    select(
        account.c.id, account.c.username, identity.c.subject, identity.c.external, account.c.provider_id,
        account.c.disabled_at, account.c.disabled_by, account.c.email, account.c.first_name, account.c.last_name,
    )
    .join(identity, identity.c.account_id == account.c.id)
    .where(identity.c.provider_id == bindparam("provider_id"))
    .order_by(account.c.id, identity.c.seen_at)
)  # fmt: skip
_GROUPS = select(group_member.c.account_id, group_member.c.group_id).where(
    group_member.c.source_id == bindparam("provider_id")
)
_ROLES = select(account_role.c.account_id, account_role.c.role_id).where(
    account_role.c.source_id == bindparam("provider_id")
)
_COUNT = select(func.count(identity.c.account_id.distinct())).where(identity.c.provider_id == bindparam("provider_id"))
_ACCOUNT = select(identity.c.account_id).where(
    identity.c.provider_id == bindparam("provider_id"), identity.c.subject == bindparam("subject")
)
_ADD = """INSERT INTO identity (provider_id, subject, account_id, external, seen_at)
 VALUES (:provider_id, :subject, :account_id, :external, :now)
 ON CONFLICT (provider_id, subject) DO UPDATE SET external = excluded.external, seen_at = excluded.seen_at"""
_CONFIRM = update(account).where(account.c.id == bindparam("of_account")).values(confirmed_at=bindparam("now"))
_MAPPINGS = select(group_mapping.c.external, group_mapping.c.group_id).where(
    group_mapping.c.provider_id == bindparam("provider_id")
)
_MAP = """INSERT INTO group_mapping (provider_id, external, group_id) VALUES (:provider_id, :external, :group_id)
 ON CONFLICT (provider_id, external) DO NOTHING"""


async def ensure(unit: Unit, name: str, kind: str) -> ProviderRow:
    """Return the provider of that name, which gets its number when it is seen first.

    Raises PackhouseError("bad_request") when the name belongs to a provider of another kind: its number stands for
    what that one said of people.
    """
    await unit.execute(_INSERT, name=name, kind=kind)
    found = await by_name(unit, name)
    assert found is not None  # it is there, or has just been made
    if found.kind != kind:
        raise PackhouseError(
            "bad_request",
            f"The provider {name} of the identity file was of the kind {found.kind}, and is {kind} now.",
            "Give the new one another name: people of the old one must not become people of the new one.",
        )
    return found


async def by_name(reader: Reader, name: str) -> ProviderRow | None:
    """Return a provider that was seen once."""
    row = await reader.fetch_one(_BY_NAME, name=name)
    return _provider(row) if row else None


async def lock(unit: Unit, name: str) -> ProviderRow | None:
    """Return a provider whose state nobody else changes until the unit has ended."""
    row = await unit.fetch_one(_LOCK, name=name)
    return _provider(row) if row else None


def _provider(row: Row) -> ProviderRow:
    number, name, kind, synced_at, sync = row
    return ProviderRow(number, name, kind, synced_at, msgspec.json.decode(sync, type=Sync))


async def set_sync(unit: Unit, provider_id: int, synced_at: int | None, sync: Sync) -> None:
    """Keep how a synchronisation went, and when the last one came to its end."""
    await unit.execute(_SET_SYNC, provider_id=provider_id, at=synced_at, state=msgspec.json.encode(sync).decode())


async def vouched(reader: Reader, provider_id: int) -> list[Vouched]:
    """Return the accounts of everybody a provider knows, with what it says of them."""
    groups = _collected(await reader.fetch_all(_GROUPS, provider_id=provider_id))
    roles = _collected(await reader.fetch_all(_ROLES, provider_id=provider_id))
    return [
        Vouched(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4] == provider_id,
            row[6] if row[5] is not None else None,
            (row[7], row[8], row[9]),
            frozenset(groups.get(row[0], ())),
            frozenset(roles.get(row[0], ())),
        )
        for row in await reader.fetch_all(_VOUCHED, provider_id=provider_id)
    ]


async def count(reader: Reader, provider_id: int) -> int:
    """Return how many people of a provider have an account."""
    return int(await reader.fetch_value(_COUNT, provider_id=provider_id))


async def account_of(reader: Reader, provider_id: int, subject: str) -> int | None:
    """Return the number of the account that a provider's subject is."""
    found: int | None = await reader.fetch_value(_ACCOUNT, provider_id=provider_id, subject=subject)
    return found


async def remember(unit: Unit, provider_id: int, subject: str, account_id: int, external: str) -> None:
    """Keep who a subject is here and what the provider calls them; whose it is already it stays."""
    await unit.execute(
        _ADD, provider_id=provider_id, subject=subject, account_id=account_id, external=external, now=unit.now
    )


async def confirm(unit: Unit, accounts: Collection[int]) -> None:
    """Note that their provider has just vouched for some accounts."""
    if accounts:
        await unit.execute_many(_CONFIRM, [{"of_account": number, "now": unit.now} for number in sorted(accounts)])


async def mappings(reader: Reader, provider_id: int) -> dict[str, int]:
    """Return which group here is which of the provider's, by the provider's name."""
    return {row[0]: row[1] for row in await reader.fetch_all(_MAPPINGS, provider_id=provider_id)}


async def add_mappings(unit: Unit, provider_id: int, groups: Mapping[str, int]) -> None:
    """Keep which group here is which of the provider's; what is there stays."""
    for external, group_id in sorted(groups.items()):
        await unit.execute(_MAP, provider_id=provider_id, external=external, group_id=group_id)


def _collected(rows: list[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for account_id, number in rows:
        found.setdefault(account_id, []).append(number)
    return found
