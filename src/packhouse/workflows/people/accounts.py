"""Making, disabling and deleting accounts. Each change is one unit with one audit event.

Whether the caller may do it is asked before, of `permissions`; `actor` is the caller's user name for the audit trail.
What takes a `unit` is a part of a larger change; see `workflows/signin/administering.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import DIRECTORY, Account, check_username
from packhouse.catalog.accounts.assigning import RoleRow, all_roles, assign, chosen, roles_of
from packhouse.catalog.accounts.passwords import check_strength, hash_password
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.logins import logins
from packhouse.catalog.notifications import subscriptions
from packhouse.catalog.roles.role import ADMIN
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_text

FIRST = "admin"


async def ensure_admin(db: Database, password: str | None = None) -> str | None:
    """Create the user `admin` unless an administrator can log in; of several starting processes one creates it.

    Returns the password if it was made up here, for the caller to print once; None if nothing was created or `password`
    was given. Raises PackhouseError("bad_request") for a password that is too short.
    """
    if await store.any_admin(db):
        return None
    chosen_password = check_strength(password) if password else random_text(18)
    hashed = await hash_password(chosen_password)

    async def work(unit: Unit) -> bool:
        if await store.any_admin(unit) or await store.by_name(unit, FIRST) is not None:
            return False
        await create_account(unit, username=FIRST, actor="system", password_hash=hashed, roles=("admin",))
        return True

    try:
        created = await db.write(work)
    except PackhouseError as error:
        if error.code != "conflict":
            raise
        created = False  # another process did between our look and our writing
    return chosen_password if created and not password else None


async def create_account(
    unit: Unit,
    *,
    username: str,
    actor: str = "system",
    password_hash: str | None = None,
    roles: Sequence[str | RoleRow] = ("author",),
    kind: Literal["person", "service"] = "person",
    provider_id: int | None = None,
    email: str = "",
    email_verified: bool = False,
    first_name: str = "",
    last_name: str = "",
) -> Account:
    """Create an account with these roles by hand; without a password nobody can log in to it by one.

    Raises PackhouseError: `bad_request` for an ill-formed name or an unknown role, `conflict` if the name is taken.
    """
    check_username(username)
    known = await all_roles(unit)
    given = chosen(known, [one if isinstance(one, str) else one.name for one in roles], None)
    account_id = await store.insert_account(unit, username, password_hash, kind, provider_id)
    if account_id is None:
        raise PackhouseError("conflict", f"There is already a user {username!r}.", "Choose another name.")
    profile = {"email": email, "email_verified": email_verified, "first_name": first_name, "last_name": last_name}
    await store.edit_profile(unit, account_id, profile)
    await assign(unit, account_id, given)
    names = [one.name for one in given]
    await _tell(unit, "user_created", actor, username, {"role": names[0]} if len(names) == 1 else {"roles": names})
    made = await store.by_id(unit, account_id)
    assert made is not None  # we have just made it
    return made


async def disable(unit: Unit, account: Account, disabled: bool, actor: str, *, over: bool = False) -> bool:
    """Disable or enable an account; say whether that changed anything.

    Raises PackhouseError: `conflict` for the last administrator, `not_found` for an account that is gone meanwhile.

    What a person disabled no directory enables, also where the directory had disabled it before; `over`: the actor's
    word replaces anybody's. The account is looked at as it is once nobody else changes it.
    """
    await store.hold(unit, account.id)
    account = await store.found(unit, account.username)
    if not disabled and actor == DIRECTORY and account.disabled_by != DIRECTORY:
        return False
    taken_over = account.disabled_by != actor and (over or (account.disabled_by == DIRECTORY and actor != DIRECTORY))
    if (account.disabled_at is not None) == disabled and not (disabled and taken_over):
        return False
    if disabled:
        await keep_an_admin(unit, account)
    else:
        await store.forget_heirs(unit, account.id)
    await store.set_disabled(unit, account.id, unit.now if disabled else None, actor if disabled else "")
    await logins.end_all(unit, account.id)
    await _tell(unit, "user_disabled" if disabled else "user_enabled", actor, account.username)
    return True


async def remove(unit: Unit, account: Account, actor: str) -> None:
    """Delete an account that owns no channel. Raises PackhouseError("conflict")."""
    await keep_an_admin(unit, account)
    if owned := await store.count_owned(unit, account.id):
        raise PackhouseError(
            "conflict",
            f"The user {account.username} owns {owned} channel{'' if owned == 1 else 's'}.",
            "Delete what they own first, or disable the user instead.",
        )
    await subscriptions.forget_account(unit, account.id)
    await store.delete_account(unit, account.id)
    await _tell(unit, "user_deleted", actor, account.username)


async def change_password(unit: Unit, account: Account, hashed: str, actor: str, but: int | None = None) -> int:
    """Set a password's hash; every login of the account ends, except the one with the id `but`; return how many.

    Raises PackhouseError("conflict") for an account whose password, if any, another system checks.
    """
    if account.provider_id is not None or account.kind != "person":
        raise PackhouseError(
            "conflict",
            f"{account.username} does not log in with a password of this installation.",
            "Change it in the system that checks it." if account.kind == "person" else "Make tokens for it instead.",
        )
    await store.set_password(unit, account.id, hashed)
    ended = await logins.end_all(unit, account.id, but)
    await _tell(unit, "user_password_changed", actor, account.username)
    return ended


async def drop_second_factor(unit: Unit, account: Account, actor: str) -> bool:
    """Ask for no second factor any more, until one is set up anew; say whether one was."""
    await store.drop_second_factor(unit, account.id)  # one that nobody confirmed, too
    if account.totp_since is None:
        return False
    await _tell(unit, "user_second_factor_removed", actor, account.username)
    return True


async def change_roles(unit: Unit, account: Account, roles: Sequence[RoleRow], actor: str) -> bool:
    """Let an account have these roles by hand; say whether that changed anything.

    Raises PackhouseError("conflict") when nobody would be an administrator any more.
    """
    await store.lock_admins(unit)
    await store.hold(unit, account.id)
    only = await store.is_only_admin(unit, account.id)
    before = (await roles_of(unit, [account.id]))[account.id]
    if not await assign(unit, account.id, roles):
        return False
    if only and not await store.any_admin(unit):
        raise _only_admin(account)
    now = (await roles_of(unit, [account.id]))[account.id]
    await note(unit, "people")
    await _tell(unit, "user_roles_changed", actor, account.username, {"from": before, "to": now})
    return True


async def keeps_last_admin(
    unit: Unit, account: Account, provider_id: int, roles: Collection[int], *, stops: bool = False
) -> bool:
    """Tell whether nobody would be an administrator once a provider's word counts; an event tells it, too.

    `roles` are those that it gives now, `stops` says that it lets the account in no more. Who asks leaves the account,
    or its role, as it is: a mistake elsewhere must not take away whoever could put it right.
    """
    if account.role != "admin" or account.disabled_at is not None:
        return False
    stays = ADMIN in roles or await store.admin_sources(unit, account.id) != {provider_id}
    if stays and not stops:
        return False
    await store.lock_admins(unit)
    if not await store.is_only_admin(unit, account.id):
        return False
    await record_event(unit, type="user_kept_admin", actor=DIRECTORY, object=f"user {account.username}", data={})
    return True


async def change_profile(unit: Unit, account: Account, values: dict[str, Any], actor: str) -> bool:
    """Write those of `store.PROFILE` that differ; say whether any did. The event names them, not what they hold."""
    differ = {name: value for name, value in values.items() if getattr(account, name) != value}
    if differ:
        await store.edit_profile(unit, account.id, differ)
        await _tell(unit, "user_updated", actor, account.username, {"changed": sorted(differ)})
    return bool(differ)


async def keep_an_admin(unit: Unit, account: Account) -> None:
    """Refuse to disable or delete the last administrator who can log in. Raises PackhouseError("conflict")."""
    if account.role != "admin" or account.disabled_at is not None:
        return
    await store.lock_admins(unit)
    if await store.is_only_admin(unit, account.id):
        raise _only_admin(account)


def _only_admin(account: Account) -> PackhouseError:
    return PackhouseError(
        "conflict", f"{account.username} is the only administrator who can log in.", "Make another one first."
    )


async def _tell(unit: Unit, type_: str, actor: str, username: str, data: dict[str, Any] | None = None) -> None:
    await record_event(unit, type=type_, actor=actor, object=f"user {username}", data=data or {})
    await note(unit, "account", name=username)
