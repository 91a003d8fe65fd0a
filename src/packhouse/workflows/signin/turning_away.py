"""Whom a provider knows and its file no longer admits: what they held by its word ends, tokens included."""

from __future__ import annotations

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import DIRECTORY
from packhouse.catalog.groups.membership import replace
from packhouse.catalog.identities.store import account_of
from packhouse.core.db import Unit
from packhouse.workflows.people import accounts
from packhouse.workflows.services import Services
from packhouse.workflows.sharing.heirs import settle


async def turn_away(services: Services, provider_id: int, subject: str) -> None:
    """Take the groups and roles that a provider gave from the account that its subject has here, if there is one.

    An account that came through this provider is disabled until it is admitted again, and its channels get another
    owner. The last administrator stays as it is, and that is told.
    """

    async def work(unit: Unit) -> None:
        number = await account_of(unit, provider_id, subject)
        account = None if number is None else await store.by_id(unit, number)
        if account is None:
            return
        stops = account.provider_id == provider_id
        if await accounts.keeps_last_admin(unit, account, provider_id, (), stops=stops):
            return
        await replace(unit, account.id, provider_id, (), (), actor=DIRECTORY)
        if stops and account.disabled_at is None:
            await settle(unit, account.id, DIRECTORY)
            left = await store.found(unit, account.username)  # without the roles it had
            await accounts.disable(unit, left, True, DIRECTORY)

    await services.db.write(work)
