"""A password that none of ours is: the directories are asked, and whoever they know gets their account here."""

from __future__ import annotations

from packhouse.catalog.accounts import store as account_store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.identities import store
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.workflows.services import Services
from packhouse.workflows.signin.arriving import Arrival, arrive
from packhouse.workflows.signin.directory.asking import Known, sign_in
from packhouse.workflows.signin.identity import LdapProvider, directories

_log = get_logger("packhouse.signin")


async def log_in(services: Services, username: str, password: str) -> Account | None:
    """Return the account of whoever a directory knows by that name and password; None when none does.

    Who has an account here is asked of the provider it came through and of no other; a local account of none. Raises
    PackhouseError: `directory_failed` when one of them did not say and no other knows them, `account_taken`.
    """
    if not username:
        return None
    failure: PackhouseError | None = None
    for provider in await _asked(services, username):
        try:
            known = await sign_in(provider, username, password)
        except PackhouseError as error:
            failure = failure or error
            continue
        if known is not None:
            return await _arrived(services, provider, known)
    if failure is not None:
        raise failure
    return None


async def _asked(services: Services, username: str) -> list[LdapProvider]:
    found = list(directories(services.providers))
    account = await account_store.by_name(services.db, username) if found else None
    if account is None:
        return found
    rows = [(provider, await store.by_name(services.db, provider.name)) for provider in found]
    return [provider for provider, row in rows if row is not None and row.id == account.provider_id]


async def _arrived(services: Services, provider: LdapProvider, known: Known) -> Account | None:
    row = await services.db.write(lambda unit: store.ensure(unit, provider.name, "ldap"))
    arrival = Arrival(
        provider_id=row.id,
        subject=known.person.subject,
        username=known.person.username,
        email=known.person.email,
        email_verified=bool(known.person.email),  # administrators of a directory write it, not its people
        first_name=known.person.first_name,
        last_name=known.person.last_name,
        groups=known.groups,
        roles=provider.roles_of(known.groups),
        external=known.person.dn,
    )
    try:
        return await arrive(
            services,
            arrival,
            link_by_email=provider.link_by_email,
            mapping=provider.groups,
            admin_roles=provider.admin_roles,
        )
    except PackhouseError as error:
        _log.warning("sign-in refused", provider=provider.name, account=known.person.username, why=str(error))
        if error.code == "unauthenticated":  # disabled here: said in the words of a wrong password
            return None
        raise
