"""Making, changing and deleting roles. Each change is one unit with an audit event, which every process hears of.

Whether the caller may change roles at all is asked before, of `permissions`; here it is seen to that nobody gives or
takes away what they lack, by whatever way: not by raising a role or lowering it, not by having new accounts get one,
and not by its name, since a provider gives people the roles that it calls by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.giving import covers
from packhouse.catalog.rights.permissions import CATEGORIES, role_level
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.roles import store
from packhouse.catalog.roles.role import ADMIN, EVERYONE, WORDS, Role, check_everyone, check_name, ordered
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError


class Edit(NamedTuple):
    """What shall be otherwise with a role; None: as it is."""

    name: str | None = None
    description: str | None = None
    levels: Mapping[str, int] | None = None  #: of some categories; the others stay
    default: bool | None = None


async def create_role(db: Database, giver: Principal, name: str, edit: Edit) -> Role:
    """Make a role. Raises PackhouseError: `bad_request` for its name, `conflict` if it is taken, `forbidden` for levels
    that `giver` lacks.
    """
    check_name(name)
    levels = _without_none(edit.levels or {})
    check_giving(giver, levels)

    async def work(unit: Unit) -> Role:
        await require_standing(unit, giver)
        role_id = await store.insert_role(unit, name, edit.description or "")
        if role_id is None:
            raise _taken(name)
        await store.hold(unit, role_id)
        await store.set_levels(unit, role_id, levels)
        await _tell(unit, "role_created", giver, name, {"levels": _words(levels)})
        await _set_default(unit, giver, role_id, name, bool(edit.default))
        return await found(unit, name)

    return await db.write(work)


async def edit_role(db: Database, giver: Principal, name: str, edit: Edit) -> Role:
    """Change a role and return it as it is then.

    Raises PackhouseError: `not_found`; `conflict` for `admin`, for another name of a builtin role and for a taken one;
    `bad_request` for an ill-formed name and for what `everyone` cannot have; `forbidden` for levels `giver` lacks:
    those that become others, and for another name all.
    """

    async def work(unit: Unit) -> Role:
        old = await _held(unit, giver, name)
        levels = _without_none({**old.levels, **(edit.levels or {})})
        new_name = edit.name if edit.name is not None else old.name
        _check(giver, old, new_name, levels)
        if edit.default is not None and edit.default != old.default:
            _check_default(giver, old, levels)
        changes = _changes(old, new_name, edit.description, levels)
        if changes:
            await _store(unit, old, new_name, edit.description, levels)
            await _tell(unit, "role_updated", giver, new_name, changes)
        became = old.default if edit.default is None else edit.default
        await _set_default(unit, giver, old.id, new_name, became, changed=bool(changes))
        return await found(unit, new_name)

    return await db.write(work)


async def delete_role(db: Database, giver: Principal, name: str) -> None:
    """Delete a role.

    Raises PackhouseError: `not_found`; `conflict` for a builtin one and one that somebody has; `forbidden` for levels
    `giver` lacks.
    """

    async def work(unit: Unit) -> None:
        old = await _held(unit, giver, name)
        if old.builtin:
            raise PackhouseError("conflict", f"The role {name} is part of every installation.", "It cannot be deleted.")
        check_giving(giver, old.levels)
        if uses := _uses(old):
            raise PackhouseError("conflict", f"The role {name} is in use: {uses}.", "Take it away there first.")
        await store.delete_role(unit, old.id)
        await _tell(unit, "role_deleted", giver, name, {"levels": _words(old.levels)})

    await db.write(work)


async def found(unit: Unit, name: str) -> Role:
    """Return a role. Raises PackhouseError("not_found")."""
    roles = await store.by_names(unit, [name])
    if name not in roles:
        raise no_role(name)
    return roles[name]


def no_role(name: str) -> PackhouseError:
    """Return the refusal for a role that is not there."""
    return PackhouseError("not_found", f"There is no role {name[:80]!r}.", "List the roles to find the name.")


def check_giving(giver: Principal, levels: Mapping[str, int], *, admin: bool = False) -> None:
    """Raise PackhouseError("forbidden") unless `giver` may give these levels, or the role `admin`, to anybody.

    Who may give them may take them away, and nobody else.
    """
    if covers(giver, ordered(levels), admin=admin):
        return
    lacking = [f"{WORDS[level]} in {one}" for one, level in levels.items() if level > role_level(giver, one)]
    if admin or not lacking:
        message = "Nobody gives or takes away more than they have, and a token that is limited neither."
    else:
        message = f"Nobody gives or takes away what they lack, and you lack {', '.join(lacking)}."
    raise PackhouseError("forbidden", message, "Have it done by somebody who has all of it, such as an administrator.")


async def _held(unit: Unit, giver: Principal, name: str) -> Role:
    """Return a role that nobody else changes or gives until the unit ends."""
    await store.hold(unit, (await found(unit, name)).id)
    await require_standing(unit, giver)
    return await found(unit, name)


def _check(giver: Principal, old: Role, name: str, levels: Mapping[str, int]) -> None:
    if old.id == ADMIN:
        raise PackhouseError(
            "conflict", "The role admin may do everything, and cannot be changed.", "Make a role of your own."
        )
    if old.builtin and name != old.name:
        raise PackhouseError("conflict", f"The role {old.name} keeps its name.", "Make a role of your own.")
    check_name(name)
    if old.id == EVERYONE:
        check_everyone(levels)
    check_giving(giver, _touched(old, name, levels))


def _touched(old: Role, name: str, levels: Mapping[str, int]) -> dict[str, int]:
    """Return the levels that an edit gives to somebody or takes from them: under another name all that there are."""
    both = {one: (old.levels.get(one, 0), levels.get(one, 0)) for one in CATEGORIES}
    return {one: max(pair) for one, pair in both.items() if any(pair) and (name != old.name or pair[0] != pair[1])}


def _check_default(giver: Principal, old: Role, levels: Mapping[str, int]) -> None:
    if old.id == EVERYONE:
        raise PackhouseError("conflict", "Everybody has the role everyone anyway.", "Choose another role.")
    check_giving(giver, levels)


async def _store(unit: Unit, old: Role, name: str, description: str | None, levels: Mapping[str, int]) -> None:
    if name != old.name and await store.by_names(unit, [name]):
        raise _taken(name)
    await store.update_role(unit, old.id, name, old.description if description is None else description)
    await store.set_levels(unit, old.id, levels)


async def _set_default(
    unit: Unit, giver: Principal, role_id: int, name: str, default: bool, *, changed: bool = False
) -> None:
    ids = {*await store.default_ids(unit)}
    if default == (role_id in ids):
        if default and changed:
            await _tell(unit, "auto_role_updated", giver, name, {})
        return
    await store.set_default_ids(unit, ids ^ {role_id})
    await _tell(unit, "auto_role_added" if default else "auto_role_deleted", giver, name, {})


def _changes(old: Role, name: str, description: str | None, levels: Mapping[str, int]) -> dict[str, Any]:
    """Return what an event says of an edit; empty: nothing is otherwise."""
    changed = {
        one: f"{WORDS[old.levels.get(one, 0)]} -> {WORDS[levels.get(one, 0)]}"
        for one in CATEGORIES
        if old.levels.get(one, 0) != levels.get(one, 0)
    }
    said: dict[str, Any] = {"levels": changed} if changed else {}
    if name != old.name:
        said["was"] = old.name
    if description is not None and description != old.description:
        said["description"] = description
    return said


def _uses(old: Role) -> str:
    counts = (
        (old.accounts, "account", "accounts"),
        (old.groups, "group", "groups"),
    )
    said = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return " and ".join([*said, *(["new accounts get it"] if old.default else [])])


def _without_none(levels: Mapping[str, int]) -> dict[str, int]:
    return {category: level for category, level in levels.items() if level}


def _words(levels: Mapping[str, int]) -> dict[str, str]:
    return {category: WORDS[level] for category, level in levels.items()}


def _taken(name: str) -> PackhouseError:
    return PackhouseError("conflict", f"There is already a role {name!r}.", "Choose another name.", field="name")


async def _tell(unit: Unit, type_: str, giver: Principal, name: str, data: dict[str, Any]) -> None:
    await record_event(unit, type=type_, actor=giver.username, object=f"role {name}", data=data)
    await note(unit, "people")
