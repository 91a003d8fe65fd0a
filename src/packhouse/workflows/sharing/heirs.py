"""Who owns the channels of somebody who is disabled or deleted: no channel is left to nobody."""

from __future__ import annotations

from packhouse.catalog import changes
from packhouse.catalog.accounts.store import lock_admins
from packhouse.catalog.groups import owners
from packhouse.catalog.groups.store import Person, person
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.store import lock
from packhouse.workflows.sharing import store


async def settle(unit: Unit, account_id: int, actor: str, heir: str | None = None) -> list[str]:
    """Give every channel of an account to somebody who can log in; to be called before it is disabled or deleted.

    That is `heir` (a user name) if there is one, else whoever manages the group of the channel's owners longest, else
    the acting administrator, else the first. Whoever owned a channel stays in that group until the account is deleted.
    A named heir gets, too, what others got in the account's place before, unless it was given away by hand since.
    Returns the paths of the channels. Raises PackhouseError: `not_found` for an unknown heir, `conflict` for one who
    cannot log in.

    Units that settle come one after the other: else the heir of the one could be whom the other disables.
    """
    await lock_admins(unit)
    await store.hold_account(unit, account_id)
    named = None if heir is None else await _able(unit, heir, account_id)
    taken = [] if named is None else await store.inherited(unit, account_id)
    paths = []
    for channel_id in [*await store.owned(unit, account_id), *taken]:
        held = await lock(unit, channel_id)
        if held is None or (held.owner_id != account_id and channel_id not in taken):
            continue
        to = named or await _heir(unit, channel_id, account_id, actor)
        if held.owner_id != to.id:
            await owners.change(unit, held, to, actor, heir_of=account_id)
            paths.append(held.path)
    if paths:
        await changes.note(unit, "people")
    return paths


async def _able(unit: Unit, name: str, account_id: int) -> Person:
    found = await person(unit, name)
    if not found.able or found.id == account_id:
        raise PackhouseError("conflict", f"{name} cannot inherit channels.", "Name somebody else who can log in.")
    return found


async def _heir(unit: Unit, channel_id: int, account_id: int, actor: str) -> Person:
    found = await store.co_owner(unit, channel_id, account_id) or await store.administrator(unit, account_id, actor)
    if found is None:
        raise PackhouseError("conflict", "There is nobody who could inherit their channels.", "Name an heir.")
    return found
