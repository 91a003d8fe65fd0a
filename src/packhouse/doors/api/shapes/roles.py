"""Roles and the permission table on the wire."""

from __future__ import annotations

import msgspec

from packhouse.catalog.rights.permissions import ACTIONS, CATEGORIES, MANAGE
from packhouse.catalog.roles.role import ADMIN, WORDS, Role
from packhouse.core.clock import to_iso
from packhouse.doors.api.permissions import BULK, ROUTES
from packhouse.doors.api.words import RoleLevel


class RoleShape(msgspec.Struct, kw_only=True):
    """A named set of levels."""

    name: str
    description: str
    builtin: bool  #: part of every installation: it keeps its name and cannot be deleted
    editable: bool  #: false of `admin`
    default: bool  #: new accounts get it
    levels: dict[str, RoleLevel]  #: of every category
    accounts: int  #: that hold it by themselves
    groups: int  #: whose members hold it
    created_at: str  #: RFC 3339
    updated_at: str  #: RFC 3339


class CategoryShape(msgspec.Struct, kw_only=True):
    """What a role has a level in."""

    name: str
    everyone: RoleLevel  #: what the role has at first
    author: RoleLevel  #: what the role has at first
    of_channel: bool  #: owners of a channel, and whom it is shared with, have their level in it there


class ActionShape(msgspec.Struct, kw_only=True):
    """Something that can be done; its name is the scope a token needs for it."""

    action: str
    category: str
    level: RoleLevel


class RouteShape(msgspec.Struct, kw_only=True):
    """What a route needs."""

    method: str
    path: str
    action: str | None  #: null: open to everybody


class BulkShape(msgspec.Struct, kw_only=True):
    """What a bulk request needs."""

    name: str
    source: str
    target: str | None


class PermissionsShape(msgspec.Struct, kw_only=True):
    """The permission table: the one the server decides by."""

    levels: list[str]  #: lowest first; each includes those before it
    categories: list[CategoryShape]
    actions: list[ActionShape]
    routes: list[RouteShape]
    bulk: list[BulkShape]


def role_shape(role: Role) -> RoleShape:
    """Fill the shape of a role."""
    least = MANAGE if role.id == ADMIN else 0
    return RoleShape(
        name=role.name,
        description=role.description,
        builtin=role.builtin,
        editable=role.id != ADMIN,
        default=role.default,
        levels={category: WORDS[max(least, role.levels.get(category, 0))] for category in CATEGORIES},
        accounts=role.accounts,
        groups=role.groups,
        created_at=to_iso(role.created_at) or "",
        updated_at=to_iso(role.updated_at) or "",
    )


def permissions_shape() -> PermissionsShape:
    """Fill the shape of the table."""
    return PermissionsShape(
        levels=[*WORDS],
        categories=[
            CategoryShape(name=name, everyone=WORDS[row.everyone], author=WORDS[row.author], of_channel=row.of_channel)
            for name, row in CATEGORIES.items()
        ],
        actions=[
            ActionShape(action=action, category=category, level=WORDS[level])
            for action, (category, level) in ACTIONS.items()
        ],
        routes=[RouteShape(method=method, path=path, action=action) for (method, path), action in ROUTES.items()],
        bulk=[BulkShape(name=name, source=source, target=target) for name, (source, target) in BULK.items()],
    )
