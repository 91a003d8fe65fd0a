"""Making, changing and deleting accounts beneath all permissions, each in a unit of its own."""

from __future__ import annotations

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.account import Account
from packhouse.catalog.accounts.passwords import NOBODY, check_strength, hash_password
from packhouse.core.db import Database, Unit
from packhouse.workflows.people import accounts


async def create_user(db: Database, username: str, password: str | None, role: str, actor: str) -> Account:
    """Create an account, with a password that nobody knows if none is given; raises as `accounts.create_account`."""
    hashed = await hash_password(check_strength(password)) if password is not None else NOBODY

    async def work(unit: Unit) -> Account:
        return await accounts.create_account(unit, username=username, actor=actor, password_hash=hashed, roles=(role,))

    return await db.write(work)


async def set_password(db: Database, username: str, password: str, actor: str) -> None:
    """Set a password; raises as `accounts.change_password`."""
    hashed = await hash_password(check_strength(password))

    async def work(unit: Unit) -> None:
        await accounts.change_password(unit, await store.found(unit, username), hashed, actor)

    await db.write(work)


async def set_disabled(db: Database, username: str, disabled: bool, actor: str) -> None:
    """Disable or enable an account; raises as `accounts.disable`."""

    async def work(unit: Unit) -> None:
        await accounts.disable(unit, await store.found(unit, username), disabled, actor)

    await db.write(work)


async def delete_user(db: Database, username: str, actor: str) -> None:
    """Delete an account; raises as `accounts.remove`."""

    async def work(unit: Unit) -> None:
        await accounts.remove(unit, await store.found(unit, username), actor)

    await db.write(work)
