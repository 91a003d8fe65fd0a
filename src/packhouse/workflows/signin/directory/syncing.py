"""Synchronisation with directories: everybody who came from one is looked up again, and who is gone stops at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packhouse.catalog.accounts import store as account_store
from packhouse.catalog.accounts.account import DIRECTORY, Account
from packhouse.catalog.accounts.assigning import all_roles
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.groups.membership import replace
from packhouse.catalog.identities import store
from packhouse.catalog.identities.store import ProviderRow, Sync
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.workflows.people import accounts
from packhouse.workflows.services import Services
from packhouse.workflows.sharing.heirs import settle
from packhouse.workflows.signin.directory.asking import Known, everybody
from packhouse.workflows.signin.directory.plan import Change, Plan, plan, profile, shrinks
from packhouse.workflows.signin.identity import LdapProvider
from packhouse.workflows.signin.mapping import ensure_groups, known_groups

log = get_logger("packhouse.directories")

#: after one that failed or broke off the next attempt comes after this many seconds, or sooner if the period is shorter
RETRY_SECONDS = 300
#: accounts of one unit of work: a few dozen rows each
BATCH = 50
#: accounts of one unit that only notes that they are known still
CONFIRM_BATCH = 2_000
#: groups of one unit: a row, its mapping and an event each
GROUP_BATCH = 500


async def synchronise_due(services: Services, providers: Iterable[LdapProvider]) -> None:
    """Synchronise with the directories whose time has come, or that somebody asked for.

    Cheap when there is nothing to do; call it every second or so, in one process at a time.
    """
    for provider in providers:
        row = await store.by_name(services.db, provider.name)
        if row is None or _due(provider, row, await services.db.now()):
            await synchronise(services, provider)


def _due(provider: LdapProvider, row: ProviderRow, now: int) -> bool:
    if row.sync.asked_at > row.sync.tried_at:
        return True
    went_well = row.sync.state == "ok" and (row.synced_at or 0) >= row.sync.tried_at  # else it failed, or broke off
    pause = provider.sync_seconds if went_well else min(provider.sync_seconds, RETRY_SECONDS)
    return now >= row.sync.tried_at + pause * SECOND


async def ask(services: Services, provider: LdapProvider, actor: str, *, accept_shrink: bool) -> ProviderRow:
    """Let a synchronisation begin as soon as a worker looks; return the provider's present state."""

    async def work(unit: Unit) -> ProviderRow:
        await store.ensure(unit, provider.name, "ldap")
        row = await store.lock(unit, provider.name)
        assert row is not None  # it has just been ensured
        row.sync.asked_at, row.sync.asked_by, row.sync.accept_shrink = unit.now, actor, accept_shrink
        await store.set_sync(unit, row.id, row.synced_at, row.sync)
        data = {"accept_shrink": accept_shrink}
        await record_event(unit, type="directory_sync_asked", actor=actor, object=f"provider {row.name}", data=data)
        return row

    return await services.db.write(work)


async def synchronise(services: Services, provider: LdapProvider) -> Sync:
    """Look everybody up and bring accounts, groups and roles in line; return how it went, which is kept, too.

    Nothing changes when the directory fails, or when the shrink guard holds it: then an administrator is asked.
    """
    row = await _begin(services, provider)
    try:
        found = await everybody(provider)
        outcome = await _bring_in_line(services, provider, row, found)
    except PackhouseError as error:
        log.warning("A directory could not be synchronised with.", provider=provider.name, reason=str(error))
        outcome = Sync(state="failed", message=str(error))
    return await _end(services, row, outcome)


async def _begin(services: Services, provider: LdapProvider) -> ProviderRow:
    """Note that it begins; return the state before. What was asked for stays so until it has come to an end."""

    async def work(unit: Unit) -> ProviderRow:
        await store.ensure(unit, provider.name, "ldap")
        before = await store.lock(unit, provider.name)
        assert before is not None  # it has just been ensured
        kept = ("state", "message", "found", "known", "asked_at", "asked_by", "accept_shrink")
        began = Sync(tried_at=unit.now, **{name: getattr(before.sync, name) for name in kept})
        await store.set_sync(unit, before.id, before.synced_at, began)
        return before

    return await services.db.write(work)


async def _bring_in_line(services: Services, provider: LdapProvider, row: ProviderRow, found: dict[str, Known]) -> Sync:
    db = services.db
    people = await store.vouched(db, row.id)
    mine = [found[one.subject] for one in people if one.subject in found]
    external = {name for known in mine for name in known.groups}
    roles = {name: one.id for name, one in (await all_roles(db)).items()}

    def planned(ids: dict[str, int]) -> Plan:
        return plan(
            people,
            found,
            lambda names: frozenset(ids[name] for name in names if name in ids),
            lambda names: frozenset(roles[name] for name in provider.roles_of(names) if name in roles),
        )

    first = planned(await known_groups(db, row.id, provider.groups, external))
    percent = provider.shrink_guard_percent
    percent = services.settings.shrink_guard_percent if percent is None else percent
    if shrinks(first, percent) and not row.sync.accept_shrink:
        message = (
            f"{first.lost:,} of {first.before:,} people would lose their access or their groups, "
            f"more than {percent} %. Nothing was changed."
        )
        return Sync(state="held", message=message, found=len(found), known=len(mine))
    final = planned(await _grouped(services, provider, row.id, sorted(external)))
    disabled = 0
    for start in range(0, len(final.changes), BATCH):
        disabled += await _apply(services, row.id, final.changes[start : start + BATCH])
    for start in range(0, len(final.confirmed), CONFIRM_BATCH):
        await _confirm(services, final.confirmed[start : start + CONFIRM_BATCH])
    return Sync(state="ok", found=len(found), known=len(mine), changed=len(final.changes), disabled=disabled)


async def _grouped(
    services: Services, provider: LdapProvider, provider_id: int, external: Sequence[str]
) -> dict[str, int]:
    """Return the groups here of those of the directory, which are made where they are not there, some at a time."""
    ids: dict[str, int] = {}
    for start in range(0, len(external), GROUP_BATCH):
        some = external[start : start + GROUP_BATCH]
        ids |= await services.db.write(
            lambda unit, some=some: ensure_groups(unit, provider_id, provider.groups, some, DIRECTORY)  # type: ignore[misc]  # inference
        )
    return ids


async def _apply(services: Services, provider_id: int, changes: Sequence[Change]) -> int:
    """Write some changes; return how many accounts were disabled."""

    async def work(unit: Unit) -> int:
        disabled = 0
        for change in changes:
            account = await account_store.by_id(unit, change.account.account_id)
            if account is None:
                continue
            stops = change.known is None and change.account.own
            if await accounts.keeps_last_admin(unit, account, provider_id, change.roles, stops=stops):
                await store.confirm(unit, [account.id])  # or what they hold would stop in the end
                continue
            await replace(unit, account.id, provider_id, change.groups, change.roles, actor=DIRECTORY)
            if change.known is not None:
                await _let_in(unit, provider_id, account, change, change.known)
            elif change.account.own:  # a local one that was joined only loses what the directory gave
                await settle(unit, account.id, DIRECTORY)
                left = await account_store.found(unit, account.username)  # without the roles it had
                disabled += await accounts.disable(unit, left, True, DIRECTORY)
        return disabled

    return await services.db.write(work)


async def _let_in(unit: Unit, provider_id: int, account: Account, change: Change, known: Known) -> None:
    await store.remember(unit, provider_id, change.account.subject, account.id, known.person.dn)
    if change.account.own:
        if account.disabled_by == DIRECTORY:
            await accounts.disable(unit, account, False, DIRECTORY)
        values = dict(zip(("email", "first_name", "last_name"), profile(known), strict=True))
        await accounts.change_profile(unit, account, values, DIRECTORY)
    await store.confirm(unit, [account.id])


async def _confirm(services: Services, numbers: Sequence[int]) -> None:
    await services.db.write(lambda unit: store.confirm(unit, numbers))


async def _end(services: Services, before: ProviderRow, outcome: Sync) -> Sync:
    """Keep how it went; what was asked for meanwhile stays asked for."""

    async def work(unit: Unit) -> Sync:
        now = await store.lock(unit, before.name)
        assert now is not None  # providers are never deleted
        outcome.tried_at = now.sync.tried_at
        if now.sync.asked_at != before.sync.asked_at:
            outcome.asked_at, outcome.asked_by = now.sync.asked_at, now.sync.asked_by
            outcome.accept_shrink = now.sync.accept_shrink
        synced = unit.now if outcome.state == "ok" else now.synced_at
        await store.set_sync(unit, now.id, synced, outcome)
        if outcome.changed or outcome.state != before.sync.state or before.sync.asked_at:
            await _tell(unit, before, outcome)
        return outcome

    return await services.db.write(work)


async def _tell(unit: Unit, before: ProviderRow, outcome: Sync) -> None:
    troubled = "directory_sync_held" if outcome.state == "held" else "directory_sync_failed"
    type_ = "directory_synced" if outcome.state == "ok" else troubled
    data: dict[str, object] = {
        name: getattr(outcome, name) for name in ("found", "known", "changed", "disabled") if outcome.state == "ok"
    }
    if outcome.message:
        data["message"] = outcome.message
    if before.sync.asked_by:
        data["asked_by"] = before.sync.asked_by
    await record_event(unit, type=type_, actor=DIRECTORY, object=f"provider {before.name}", data=data)
