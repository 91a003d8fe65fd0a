"""Accounts of others: made, edited and deleted by administrators, and by whoever looks after accounts.

Who is no administrator sees, and changes, only people who can do nothing they cannot do themselves; to them others are
not there. How somebody logs in, and who may again whom another disabled, is decided only by who reaches all channels
that they reach.
Accounts for machines belong to their channels (`workflows/sharing/service_accounts.py`). An edit is one unit: all of
what was sent, or nothing; what was not sent stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import DIRECTORY, Account, check_email, check_name, check_username
from packhouse.catalog.accounts.assigning import all_roles, chosen, given_by_hand, owner_of, roles_of
from packhouse.catalog.accounts.looking_after import looked_after, require_reach
from packhouse.catalog.accounts.passwords import check_strength, hash_password
from packhouse.catalog.accounts.people import page_for, providers_of
from packhouse.catalog.grants import signing_keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.giving import gives_all
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.workflows.people import accounts
from packhouse.workflows.sharing.heirs import settle
from packhouse.workflows.signin.browsing import end_others

#: how each member of a profile is checked
_CHECKS = {"email": check_email, "first_name": check_name, "last_name": check_name}


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """An account to be made."""

    username: str
    password: str | None = None  #: without one nobody can log in by it yet
    roles: Sequence[str] = ("author",)
    email: str = ""
    email_verified: bool = False
    first_name: str = ""
    last_name: str = ""


class PersonEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be otherwise with an account; UNSET: as it is."""

    password: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    heir: str | UnsetType = UNSET  #: who gets the channels of whom it disables
    roles: Sequence[str] | UnsetType = UNSET
    email: str | UnsetType = UNSET
    email_verified: bool | UnsetType = UNSET
    first_name: str | UnsetType = UNSET
    last_name: str | UnsetType = UNSET


class Person(NamedTuple):
    """An account, the names of its own roles, and who vouches for it."""

    account: Account
    roles: list[str]
    provider: str | None  #: None: this installation


async def list_people(
    db: Database, caller: Principal, given: Mapping[str, Any], limit: int, offset: int
) -> tuple[list[Person], int]:
    """Return the people that `caller` may look after by name, and how many there are; `given` as `page_for` has it."""
    rows, total = await page_for(db, caller, given, limit, offset)
    return await _told(db, rows), total


async def show_person(reader: Reader, caller: Principal, username: str) -> Person:
    """Return an account that `caller` may look after. Raises PackhouseError("not_found")."""
    account = await looked_after(reader, caller, username)
    return (await _told(reader, [account]))[0]


async def _told(reader: Reader, rows: Sequence[Account]) -> list[Person]:
    names, providers = await roles_of(reader, [row.id for row in rows]), await providers_of(reader, rows)
    return [Person(row, names[row.id], providers.get(row.provider_id or 0)) for row in rows]


async def create_person(db: Database, caller: Principal, new: NewPerson) -> Person:
    """Make an account.

    Raises PackhouseError: `bad_request`, `conflict` if the name is taken, `forbidden` for roles beyond the caller's and
    for a mail address that they may not vouch for.
    """
    check_username(new.username)
    profile = _profile(new)
    if new.email_verified:
        _check_vouching(caller, None)
    hashed = await hash_password(check_strength(new.password)) if new.password is not None else None

    async def work(unit: Unit) -> Person:
        await require_standing(unit, caller)
        given = chosen(await all_roles(unit), new.roles, caller)
        made = await accounts.create_account(
            unit, username=new.username, actor=caller.username, password_hash=hashed, roles=given, **profile
        )
        return Person(made, [one.name for one in given], None)

    return await db.write(work)


async def edit_person(db: Database, caller: Principal, username: str, edit: PersonEdit) -> Person:
    """Change what `edit` names of an account and nothing else.

    Raises PackhouseError: `bad_request`, `not_found` also for accounts beyond the caller; `forbidden` for rights the
    caller or their token lacks, for the caller's own password, for how somebody logs in who reaches channels that the
    caller does not, and for an heir whom no administrator names; `conflict` for the last administrator, for the
    password of whom another system vouches for, and for enabling whom that system shut out.
    """
    if edit.password is not UNSET and username == caller.username:
        raise PackhouseError(
            "forbidden",
            "Nobody sets their own password without the one they have.",
            "Send both to `PUT /api/account/password`, or ask another administrator.",
        )
    heir = _heir(caller, edit)
    profile = _profile(edit)
    hashed = None if edit.password is UNSET else await hash_password(check_strength(edit.password))

    async def work(unit: Unit) -> Person:
        await _hold(unit, caller, username, edit)
        account = await looked_after(unit, caller, username, whole=hashed is not None)
        values = _kept(account, profile, edit)
        if hashed is not None or _lets_in(caller, account, edit):
            await require_reach(unit, caller, account)
        if hashed is not None:
            await accounts.change_password(unit, account, hashed, caller.username)
        if edit.roles is not UNSET:
            await _edit_roles(unit, caller, account, edit.roles)
            account = await store.found(unit, username)  # who is no administrator any more may be disabled
        if edit.disabled is True:
            await accounts.keep_an_admin(unit, account)  # before their channels are given to anybody
            await settle(unit, account.id, caller.username, heir)
        if edit.disabled is not UNSET:
            _check_admitted(account, edit)
            await accounts.disable(unit, account, edit.disabled, caller.username, over=caller.role == "admin")
        if _vouches(account, values):
            _check_vouching(caller, account)
        await accounts.change_profile(unit, account, values, caller.username)
        return await show_person(unit, owner_of(caller), username)

    return await db.write(work)


async def delete_person(db: Database, caller: Principal, username: str, heir: str | None = None) -> None:
    """Delete an account; its channels go to `heir`, or to whom `settle` finds.

    Raises PackhouseError: `not_found`, `conflict`, `forbidden` for an heir whom no administrator names, and for
    somebody who reaches channels that the caller does not.
    """
    _check_naming(caller, heir)

    async def work(unit: Unit) -> None:
        await _hold(unit, caller, username)
        account = await looked_after(unit, caller, username)
        await require_reach(unit, caller, account)
        await accounts.keep_an_admin(unit, account)
        await settle(unit, account.id, caller.username, heir)
        await accounts.remove(unit, account, caller.username)

    await db.write(work)


async def drop_second_factor(db: Database, caller: Principal, username: str) -> None:
    """Let somebody in without their second factor, until they set one up anew.

    Raises PackhouseError: `not_found` also for accounts beyond the caller, `forbidden` for the caller's own, for tokens
    that can do less than the account, and for somebody who reaches channels that the caller does not.
    """
    if username == caller.username:
        raise PackhouseError(
            "forbidden",
            "Nobody takes their own second factor away without their password.",
            "Send the password to `DELETE /api/account/totp`, or ask another administrator.",
        )

    async def work(unit: Unit) -> None:
        await require_standing(unit, caller)
        account = await looked_after(unit, caller, username, whole=True)
        await require_reach(unit, caller, account)
        await accounts.drop_second_factor(unit, account, caller.username)

    await db.write(work)


async def end_logins(db: Database, caller: Principal, username: str) -> None:
    """End all logins of somebody. Raises PackhouseError("not_found"), also for accounts beyond the caller."""

    async def work(unit: Unit) -> None:
        await require_standing(unit, caller)
        account = await looked_after(unit, caller, username)
        await end_others(unit, account.id, username, caller.username)

    await db.write(work)


async def reset_password(db: Database, username: str, hashed: str, *, second_factor: bool) -> tuple[Account, int]:
    """Set a password's hash in the name of the host, and take the second factor away if that is lost, too.

    Returns the account and how many logins ended. Raises PackhouseError: `not_found`, `conflict` when another system
    checks the password.
    """

    async def work(unit: Unit) -> tuple[Account, int]:
        account = await store.found(unit, username)
        if second_factor:
            await accounts.drop_second_factor(unit, account, "system")
        return account, await accounts.change_password(unit, account, hashed, "system")

    return await db.write(work)


async def enable(db: Database, username: str) -> tuple[Account, bool]:
    """Let an account work again in the name of the host; return it as it was, and whether that changed anything.

    Raises PackhouseError("not_found").
    """

    async def work(unit: Unit) -> tuple[Account, bool]:
        account = await store.found(unit, username)
        return account, await accounts.disable(unit, account, False, "system")

    return await db.write(work)


async def make_administrator(db: Database, username: str) -> tuple[Account, bool]:
    """Give somebody the role `admin` in the name of the host; return the account, and whether that changed anything.

    Raises PackhouseError: `not_found`, `conflict` for an account for machines.
    """

    async def work(unit: Unit) -> tuple[Account, bool]:
        await store.lock_admins(unit)
        await store.hold_named(unit, username)
        account = await store.found(unit, username)
        if account.kind != "person":
            raise PackhouseError("conflict", f"{username} is an account for machines.", "Name a person.")
        has = await given_by_hand(unit, account.id)
        wanted = [one for one in (await all_roles(unit)).values() if one.admin or one.id in has]
        return account, await accounts.change_roles(unit, account, wanted, "system")

    return await db.write(work)


async def retire_keys(db: Database) -> int:
    """Let no key verify any more in the name of the host, for when they may be in wrong hands; return how many.

    The logins that can do nothing without end after that; where this was interrupted, the next time.
    """

    async def work(unit: Unit) -> tuple[int, int]:
        return len(await signing_keys.retire_all(unit, "system")), unit.now

    retired, at = await db.write(work)
    while await db.write(partial(logins.end_signed, until=at)):
        pass
    return retired


async def _hold(unit: Unit, caller: Principal, username: str, edit: PersonEdit | None = None) -> None:
    """Hold what is looked at before somebody is edited or deleted, so that it is still so when that is written.

    In the order in which it is held elsewhere: the administrators, if there may be one less, whoever asks, the account.
    """
    if edit is None or edit.roles is not UNSET or edit.disabled is not UNSET:
        await store.lock_admins(unit)
    await require_standing(unit, caller)
    await store.hold_named(unit, username)


def _profile(sent: NewPerson | PersonEdit) -> dict[str, Any]:
    """Return the members of the profile that were sent, checked. Raises PackhouseError("bad_request")."""
    found: dict[str, Any] = {}
    for name in store.PROFILE:
        value = getattr(sent, name, UNSET)
        if value is not UNSET:
            found[name] = _CHECKS[name](value) if name in _CHECKS else value
    return found


def _kept(account: Account, profile: dict[str, Any], edit: PersonEdit) -> dict[str, Any]:
    """Return what to write: that an address was verified says nothing about another one."""
    other = profile.get("email", account.email) != account.email
    return {**profile, "email_verified": False} if other and edit.email_verified is UNSET else profile


def _vouches(account: Account, values: dict[str, Any]) -> bool:
    """Say whether an edit says of a mail address that it is somebody's, which nobody had said of it."""
    same = account.email_verified and values.get("email", account.email) == account.email
    return bool(values.get("email_verified")) and not same


def _check_vouching(caller: Principal, account: Account | None) -> None:
    """Let nobody but administrators say whose a mail address is: a provider's people join the account that has it."""
    if gives_all(caller) and (account is None or account.id != caller.account_id):
        return
    raise PackhouseError(
        "forbidden",
        "Only administrators say that a mail address is somebody's, never of themselves and with no limited token.",
        "Leave `email_verified` out, or have another administrator say it.",
        field="email_verified",
    )


def _heir(caller: Principal, edit: PersonEdit) -> str | None:
    """Return the heir that an edit names. Raises PackhouseError: `forbidden`, `bad_request` where nobody leaves."""
    if edit.heir is UNSET:
        return None
    if edit.disabled is not True:
        raise PackhouseError(
            "bad_request",
            "An heir is named for somebody who is disabled or deleted.",
            'Send `"disabled": true` beside it, or leave it out.',
            field="heir",
        )
    _check_naming(caller, edit.heir)
    return edit.heir


def _check_naming(caller: Principal, heir: str | None) -> None:
    if heir is not None and not gives_all(caller):
        raise PackhouseError(
            "forbidden",
            "Only administrators name an heir, and with no limited token.",
            "Without one, channels go to co-owners or administrators.",
        )


def _check_admitted(account: Account, edit: PersonEdit) -> None:
    """Refuse to enable whom their provider shut out: it would do so again. Raises PackhouseError("conflict")."""
    if edit.disabled is False and account.disabled_at is not None and account.disabled_by == DIRECTORY:
        raise PackhouseError(
            "conflict",
            f"The provider that vouches for {account.username} does not let them in any more.",
            "Let them in there: they are enabled by the next synchronisation with a directory, or when they sign in"
            " through an OpenID provider.",
            field="disabled",
        )


def _lets_in(caller: Principal, account: Account, edit: PersonEdit) -> bool:
    """Whether an edit decides that somebody may log in whom another had shut out, at once or by a second edit.

    Shutting out opens no channel to anybody, and whoever did it may think better of it; but whom a directory disabled
    they would make their own to let in.
    """
    if account.disabled_at is None or account.disabled_by == caller.username:
        return False
    return edit.disabled is False or (edit.disabled is True and account.disabled_by == DIRECTORY)


async def _edit_roles(unit: Unit, caller: Principal, account: Account, names: Sequence[str]) -> None:
    if account.id == caller.account_id and caller.role != "admin":
        raise PackhouseError(
            "forbidden", "Nobody changes their own roles.", "Ask an administrator for the roles you need."
        )
    known = await all_roles(unit)
    has = set((await roles_of(unit, [account.id]))[account.id])
    chosen(known, sorted(has.symmetric_difference(names)), caller)  # who takes a role away could have given it
    theirs = await given_by_hand(unit, account.id)
    wanted = [one for one in chosen(known, names, None) if one.id in theirs or one.name not in has]
    await accounts.change_roles(unit, account, wanted, caller.username)
