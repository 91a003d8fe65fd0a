"""The generic guard: looks up the right a route needs and asks `permit`. It holds no rule of its own."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups import store as groups
from packhouse.catalog.groups.group import Group
from packhouse.catalog.groups.target import target_of_group
from packhouse.catalog.rights.permissions import INSTALLATION, Action, Decision, in_scope, permit, refusal
from packhouse.catalog.rights.principal import ANONYMOUS, Principal
from packhouse.catalog.rights.visibility import target_at
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.permissions import OPEN, ROUTES


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request pass if its caller may do what its route does; leave the channel or group it is about in the state.

    Raises PackhouseError: `unauthenticated`, `forbidden`, `not_found`.
    """
    method = str(connection.scope.get("method"))
    template = connection.scope["path_template"]
    if method == "OPTIONS":
        return
    action = ROUTES[method, template]
    if action is OPEN:
        return
    principal = caller_of(connection)
    if "{channel}" in template:
        connection.scope["state"]["channel"] = await permitted_channel(
            connection.scope["state"]["api"].services.db, principal, action, _path(connection.path_params)
        )
        return
    if "{group}" in template:
        connection.scope["state"]["group"] = await permitted_group(
            connection.scope["state"]["api"].services.db, principal, action, str(connection.path_params["group"])
        )
        return
    decision = permit(principal, action, INSTALLATION)
    if decision is not Decision.ALLOWED:
        raise refusal(decision, principal, action, data_plane=False)


async def permitted_channel(db: Database, principal: Principal, action: Action, path: str) -> Channel:
    """Return the channel at `path` if the caller may do `action` there; a hidden one is refused like a missing one."""
    found = None if "\0" in path else await channels.by_path(db, path)
    target = await target_at(db, principal, found)
    decision = permit(principal, action, target)
    if found is None or decision is not Decision.ALLOWED:
        raise refusal(decision, principal, action, data_plane=False)
    return found


async def permitted_group(db: Database, principal: Principal, action: Action, name: str) -> Group:
    """Return the group of that name if the caller may do `action` to it; a hidden one is refused like a missing one."""
    found = None if "\0" in name else await groups.by_name(db, name)
    target = await target_of_group(db, principal, found)
    decision = permit(principal, action, target)
    if decision is Decision.INVISIBLE:
        raise PackhouseError("not_found", "There is no such group.", "List the groups that you may see.")
    if found is None or decision is not Decision.ALLOWED:
        refused = refusal(decision, principal, action, data_plane=False)
        if in_scope(principal, action):
            refused.hint = "Who manages the group and administrators may do this: ask one, or have it done."
        raise refused
    return found


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Return who asks, as the entrance found out."""
    principal: Principal = connection.scope["state"].get("principal", ANONYMOUS)
    return principal


def _path(parameters: dict[str, Any]) -> str:
    channel, subchannel = str(parameters["channel"]), parameters.get("subchannel")
    # a slash inside one segment must not become another channel's path
    return "\0" if "/" in f"{channel}{subchannel or ''}" else f"{channel}/{subchannel}" if subchannel else channel
