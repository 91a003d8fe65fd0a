"""What a provider says of somebody's groups and roles replaces what it said before; what others said stays."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, delete, insert, select

from packhouse.catalog import changes
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.groups import store
from packhouse.catalog.people_tables import account, account_role, group_member, role, user_group
from packhouse.core.db import Unit, any_of

_GROUPS = select(group_member.c.group_id).where(
    group_member.c.account_id == bindparam("account_id"), group_member.c.source_id == bindparam("source_id")
)
_ROLES = select(account_role.c.role_id).where(
    account_role.c.account_id == bindparam("account_id"), account_role.c.source_id == bindparam("source_id")
)
#: those that are still there; nobody deletes them before the unit has ended
_HOLD_GROUPS = (
    select(user_group.c.id, user_group.c.name)
    .where(any_of(user_group.c.id, "ids"))
    .order_by(user_group.c.id)
    .with_for_update(key_share=True)
)
_HOLD_ROLES = (
    select(role.c.id, role.c.name).where(any_of(role.c.id, "ids")).order_by(role.c.id).with_for_update(key_share=True)
)
_USERNAME = select(account.c.username).where(account.c.id == bindparam("account_id"))
_GIVE = insert(account_role).values(
    account_id=bindparam("account_id"), role_id=bindparam("role_id"), source_id=bindparam("source_id")
)
_TAKE = delete(account_role).where(
    account_role.c.account_id == bindparam("of_account"),
    account_role.c.role_id == bindparam("of_role"),
    account_role.c.source_id == bindparam("source"),
)


async def replace(
    unit: Unit,
    account_id: int,
    source_id: int,
    groups: Collection[int],
    roles: Collection[int],
    *,
    actor: str = "directory",
) -> bool:
    """Let an account be in exactly these groups, and have these roles, as far as one source says; groups and roles
    that are gone are left out. Returns whether anything changed; then there are audit events and a `people` change.
    """
    username = await unit.fetch_value(_USERNAME, account_id=account_id)
    changed = await _replace_groups(unit, account_id, source_id, set(groups), username, actor)
    changed |= await _replace_roles(unit, account_id, source_id, set(roles), username, actor)
    if changed:
        await changes.note(unit, "people")
    return changed


async def _replace_groups(
    unit: Unit, account_id: int, source_id: int, wanted: set[int], username: str, actor: str
) -> bool:
    now = {row[0] for row in await unit.fetch_all(_GROUPS, account_id=account_id, source_id=source_id)}
    names: dict[int, str] = dict(await unit.fetch_all(_HOLD_GROUPS, ids=sorted(now ^ wanted)))
    for group_id, name in names.items():
        if group_id in wanted:
            await store.set_member(unit, group_id, account_id, 0, source_id)
        else:
            await store.drop_member(unit, group_id, account_id, source_id)
        type_ = "group_user_added" if group_id in wanted else "group_user_deleted"
        await record_event(unit, type=type_, actor=actor, object=f"group {name}", data={"user": username})
    return bool(names)


async def _replace_roles(
    unit: Unit, account_id: int, source_id: int, wanted: set[int], username: str, actor: str
) -> bool:
    now = {row[0] for row in await unit.fetch_all(_ROLES, account_id=account_id, source_id=source_id)}
    names: dict[int, str] = dict(await unit.fetch_all(_HOLD_ROLES, ids=sorted(now ^ wanted)))
    for role_id in names:
        if role_id in wanted:
            await unit.execute(_GIVE, account_id=account_id, role_id=role_id, source_id=source_id)
        else:
            await unit.execute(_TAKE, of_account=account_id, of_role=role_id, source=source_id)
    if names:
        data = {
            "added": sorted(name for role_id, name in names.items() if role_id in wanted),
            "removed": sorted(name for role_id, name in names.items() if role_id not in wanted),
        }
        await record_event(unit, type="user_roles_changed", actor=actor, object=f"user {username}", data=data)
    return bool(names)
