"""Making, disabling and deleting accounts. Each change is one unit with one audit event.

Whether the caller may do it is asked before, of `permissions`; `actor` is the caller's user name for the audit trail.
"""

from __future__ import annotations

from packhouse.catalog.accounts import logins, store
from packhouse.catalog.accounts.account import Account, check_role, check_username
from packhouse.catalog.accounts.passwords import check_strength, hash_password
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.notifications import subscriptions
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_text

ADMIN = "admin"


async def ensure_admin(db: Database, password: str | None = None) -> str | None:
    """Create the user `admin` unless there is an administrator; of several starting processes one creates it.

    Returns the password if it was made up here, for the caller to print once; None if nothing was created or `password`
    was given. Raises PackhouseError("bad_request") for a password that is too short.
    """
    if await store.count_admins(db):
        return None
    chosen = check_strength(password) if password else random_text(18)
    hashed = await hash_password(chosen)

    async def work(unit: Unit) -> bool:
        if await store.count_admins(unit) or await store.insert_account(unit, ADMIN, hashed, "admin") is None:
            return False
        await _tell(unit, "user_created", "system", ADMIN, {"role": "admin"})
        return True

    created = await db.write(work)
    return chosen if created and not password else None


async def create_user(db: Database, username: str, password: str | None, role: str, actor: str) -> Account:
    """Create an account; without a password it can only be used through what an administrator sets up for it.

    Raises PackhouseError: `bad_request` for an ill-formed name, role or password, `conflict` if the name is taken.
    """
    check_username(username)
    checked = check_role(role)
    hashed = await hash_password(check_strength(password)) if password is not None else None

    async def work(unit: Unit) -> Account:
        account_id = await store.insert_account(unit, username, hashed, checked)
        if account_id is None:
            raise PackhouseError("conflict", f"There is already a user {username!r}.", "Choose another name.")
        await _tell(unit, "user_created", actor, username, {"role": checked})
        return Account(account_id, username, checked, None, 0, None, unit.now)

    return await db.write(work)


async def set_disabled(db: Database, username: str, disabled: bool, actor: str) -> None:
    """Disable an account, so that its logins and tokens stop at once, or enable it again (tokens work again, old
    logins do not).

    Raises PackhouseError: `not_found`, or `conflict` for the last administrator.
    """

    async def work(unit: Unit) -> None:
        account = await _found(unit, username)
        if (account.disabled_at is not None) == disabled:
            return
        if disabled:
            await _keep_an_admin(unit, account)
        await store.set_disabled(unit, account.id, unit.now if disabled else None)
        await logins.end_all(unit, account.id)
        await _tell(unit, "user_disabled" if disabled else "user_enabled", actor, username)

    await db.write(work)


async def delete_user(db: Database, username: str, actor: str) -> None:
    """Delete an account with its tokens and grants; what it did stays in the audit trail.

    Raises PackhouseError: `not_found`, or `conflict` for the last administrator and for an owner of channels.
    """

    async def work(unit: Unit) -> None:
        account = await _found(unit, username)
        await _keep_an_admin(unit, account)
        if owned := await store.count_owned(unit, account.id):
            raise PackhouseError(
                "conflict",
                f"The user {username} owns {owned} channel{'' if owned == 1 else 's'}.",
                "Delete what they own first, or disable the user instead.",
            )
        await subscriptions.forget_account(unit, account.id)
        await store.delete_account(unit, account.id)
        await _tell(unit, "user_deleted", actor, username)

    await db.write(work)


async def set_password(db: Database, username: str, password: str, actor: str) -> None:
    """Set a password; every login of the account ends. Raises PackhouseError("bad_request" or "not_found")."""
    hashed = await hash_password(check_strength(password))

    async def work(unit: Unit) -> None:
        account = await _found(unit, username)
        await store.set_password(unit, account.id, hashed)
        await logins.end_all(unit, account.id)
        await _tell(unit, "user_password_changed", actor, username)

    await db.write(work)


async def _found(unit: Unit, username: str) -> Account:
    account = await store.by_name(unit, username)
    if account is None:
        raise PackhouseError("not_found", f"There is no user {username[:80]!r}.", "List the users to find the name.")
    return account


async def _keep_an_admin(unit: Unit, account: Account) -> None:
    if account.role != "admin" or account.disabled_at is not None:
        return
    await store.lock_admins(unit)
    if await store.count_admins(unit) == 1:
        raise PackhouseError(
            "conflict", f"{account.username} is the only administrator.", "Make another administrator first."
        )


async def _tell(unit: Unit, type_: str, actor: str, username: str, data: dict[str, str] | None = None) -> None:
    await record_event(unit, type=type_, actor=actor, object=f"user {username}", data=data or {})
    await note(unit, "account", name=username)
