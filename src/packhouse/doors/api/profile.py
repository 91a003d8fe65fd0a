"""`/api/account`: what the caller changes of their own account: profile, default channel, password."""

from __future__ import annotations

from typing import Any

from litestar import Request, put
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.assigning import roles_of
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.rights.permissions import CATEGORIES, INSTALLATION, Decision, permit, refusal, role_level
from packhouse.catalog.rights.principal import Principal
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import Caller, House, Login, Word
from packhouse.doors.api.permissions import DEFAULT_CHANNEL, UPLOAD
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.accounts import AccountShape, account_shape
from packhouse.workflows.signin import profile


class ProfileEdit(Body):
    """What shall be otherwise with the caller's account; unsent members stay as they are."""

    first_name: Word | UnsetType = UNSET
    last_name: Word | UnsetType = UNSET
    default_channel_name: Word | UnsetType | None = UNSET  #: where uploads go that name no channel; null: nowhere


class PasswordChange(Body):
    """A new password, and the one it replaces."""

    old_password: Word
    new_password: Word


@put("/api/account", tags=["account"], responses=refused())
async def edit_account(data: JSONBody[ProfileEdit], caller: Caller, services: House) -> AccountShape:
    """Change the caller's name, or the channel that uploads without a channel go to."""
    default: Channel | UnsetType | None = UNSET
    if data.default_channel_name is not UNSET:
        default = await _wanted_channel(services.db, caller, data.default_channel_name)
    edit = profile.ProfileEdit(first_name=data.first_name, last_name=data.last_name, default_channel=default)
    await profile.edit(services.db, caller, edit)
    return await shown(services.db, caller)


@put("/api/account/password", tags=["account"], status_code=204, responses=refused("conflict"))
async def change_password(
    data: JSONBody[PasswordChange],
    request: Request[Any, Any, Any],
    caller: Caller,
    services: House,
    authenticator: Login,
) -> None:
    """Change the caller's password; all their logins end but the one shown."""
    address = request.client.host if request.client else ""
    await authenticator.check_password(caller.username, data.old_password, address)
    await profile.change_password(services.db, caller, data.new_password)
    authenticator.forget("account", caller.username)  # other processes hear of it by the list of changes


async def shown(db: Database, caller: Principal) -> AccountShape:
    """Return the caller's account. Raises PackhouseError("unauthenticated") when it is gone."""
    found = await store.by_id(db, caller.account_id or 0)
    if found is None:
        raise PackhouseError("unauthenticated", "The account is gone.", "Log in again.")
    default = await channels.by_id(db, found.default_channel_id) if found.default_channel_id else None
    roles = (await roles_of(db, [found.id]))[found.id]
    levels = {category: role_level(caller, category) for category in CATEGORIES}
    return account_shape(found, roles, levels, default.path if default else None)


async def _wanted_channel(db: Database, caller: Principal, path: str | None) -> Channel | None:
    """Return the channel that shall be the default one, if the caller may choose it and upload there."""
    decision = permit(caller, DEFAULT_CHANNEL, INSTALLATION)
    if decision is not Decision.ALLOWED:
        raise refusal(decision, caller, DEFAULT_CHANNEL, data_plane=False)
    return None if path is None else await permitted_channel(db, caller, UPLOAD, path)


HANDLERS = [edit_account, change_password]
