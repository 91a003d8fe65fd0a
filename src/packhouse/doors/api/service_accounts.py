"""`/api/service-accounts`: accounts for machines, one for a channel, and their tokens."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.permissions import READ
from packhouse.catalog.tokens import reach, service_accounts
from packhouse.catalog.tokens.reach import Resource
from packhouse.catalog.tokens.service_accounts import ServiceAccount
from packhouse.core.clock import to_iso
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import (
    PAGE_ITEMS,
    Caller,
    Here,
    House,
    Limit,
    Login,
    Number,
    Offset,
    Page,
    Word,
    page_size,
)
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.tokens import NewToken, TokenShape, new_token, token_shape
from packhouse.doors.api.tokens import ResourceRequest
from packhouse.workflows.people import tokens
from packhouse.workflows.sharing import service_accounts as verbs

ACCOUNTS = "/service-accounts"
ACCOUNT = ACCOUNTS + "/{account_id:int}"
TOKENS = ACCOUNT + "/tokens"
TOKEN = TOKENS + "/{token_id:str}"


class ServiceAccountShape(msgspec.Struct, kw_only=True):
    """An account for machines."""

    id: int
    username: str
    channel: str  #: the one it belongs to; what it may is what it was granted
    disabled: bool
    created_at: str  #: RFC 3339


class ServiceTokenRequest(Body):
    """A token of a service account to be made."""

    name: Word
    resources: list[ResourceRequest] | None = None  #: unsent: to read the account's own channel
    expires_at: Word | None = None  #: ISO 8601; a bare date is included whole (UTC); within 365 days
    max_days: int | None = None  #: from now, 365 at most; instead of `expires_at`. Neither sent: 30
    description: Word = ""
    metadata: dict[str, Any] = {}


class ServiceTokenEdit(Body):
    """What shall be otherwise with a token of a service account; unsent members and its value stay."""

    name: Word | None = None
    resources: list[ResourceRequest] | None = None
    expires_at: Word | None = None
    max_days: int | None = None  #: from now; instead of `expires_at`
    description: Word | None = None
    metadata: dict[str, Any] | None = None


@get("/api/service-accounts", tags=["service accounts"], responses=refused())
async def list_all(
    caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0
) -> Page[ServiceAccountShape]:
    """List the service accounts of the channels the caller manages."""
    rows, total = await service_accounts.page(services.db, caller, page_size(limit), offset)
    return Page([_shape(row) for row in rows], total)


@get(of_channel(ACCOUNTS), tags=["service accounts"], responses=refused())
async def list_here(services: House, here: Here) -> Page[ServiceAccountShape]:
    """List the service account of a channel: one, or none."""
    one = await service_accounts.of_channel(services.db, here.id)
    return Page([_shape(one)] if one else [], int(one is not None))


@post(of_channel(ACCOUNTS), tags=["service accounts"], status_code=200, responses=refused())
async def create(caller: Caller, services: House, here: Here) -> ServiceAccountShape:
    """Make the service account of a channel; if there is one already, that is it."""
    return _shape(await verbs.ensure(services, here, caller))


@delete(of_channel(ACCOUNT), tags=["service accounts"], responses=refused())
async def delete_account(account_id: Number, caller: Caller, services: House, here: Here, authenticator: Login) -> None:
    """Delete the service account of a channel: its tokens stop, on every channel."""
    username = await verbs.delete(services, here, account_id, caller)
    authenticator.forget("account", username)  # other processes hear of it by the list of changes


@get(of_channel(TOKENS), tags=["service accounts"], responses=refused())
async def list_tokens(
    account_id: Number, caller: Caller, services: House, here: Here, limit: Limit = PAGE_ITEMS, offset: Offset = 0
) -> Page[TokenShape]:
    """List the tokens of a service account, oldest first; never their values."""
    db = services.db
    account = await verbs.found(db, here, account_id)
    rows, total = await tokens.of_account(db, account.id, page_size(limit), offset)
    reached, now = await reach.shown(db, caller, rows), await db.now()
    return Page([token_shape(one, reached.get(one.id), now) for one in rows], total)


@post(of_channel(TOKENS), tags=["service accounts"], status_code=200, responses=refused("conflict"))
async def create_token(
    account_id: Number, data: JSONBody[ServiceTokenRequest], caller: Caller, services: House, here: Here
) -> NewToken:
    """Make a token of a service account; its value is in this answer and nowhere else."""
    wanted = _resources(data.resources)
    if wanted is None:
        wanted = [Resource(here.path, READ)]
    made, value = await verbs.make_token(
        services, await load_keys(services.db, services.sealer), caller, here, account_id,
        name=data.name, resources=wanted, expires_at=data.expires_at, max_days=data.max_days,
        description=data.description, metadata=data.metadata,
    )  # fmt: skip
    return new_token(made, wanted, value)


@put(of_channel(TOKEN), tags=["service accounts"], responses=refused("conflict"))
async def edit_token(
    account_id: Number,
    token_id: FromPath[str],
    data: JSONBody[ServiceTokenEdit],
    caller: Caller,
    services: House,
    here: Here,
    authenticator: Login,
) -> TokenShape:
    """Change a token of a service account: what it reaches, how long it lives, what is said of it."""
    made = await verbs.edit_token(
        services, caller, here, account_id, token_id,
        name=data.name, resources=_resources(data.resources), expires_at=data.expires_at, max_days=data.max_days,
        description=data.description, metadata=data.metadata,
    )  # fmt: skip
    authenticator.forget("token", token_id)  # other processes hear of it by the list of changes
    reached = await reach.shown(services.db, caller, [made])
    return token_shape(made, reached.get(made.id), await services.db.now())


@delete(of_channel(TOKEN), tags=["service accounts"], responses=refused())
async def revoke_token(
    account_id: Number, token_id: FromPath[str], caller: Caller, services: House, here: Here, authenticator: Login
) -> None:
    """Stop a token of a service account for ever."""
    await verbs.revoke_token(services, caller, here, account_id, token_id)
    authenticator.forget("token", token_id)


def _resources(given: list[ResourceRequest] | None) -> list[Resource] | None:
    if given is None:
        return None
    return [reach.resource(one.resource_type, one.resource_id, one.permission) for one in given]


def _shape(one: ServiceAccount) -> ServiceAccountShape:
    return ServiceAccountShape(
        id=one.id,
        username=one.username,
        channel=one.channel,
        disabled=one.disabled_at is not None,
        created_at=to_iso(one.created_at) or "",
    )


HANDLERS = [list_all, list_here, create, delete_account, list_tokens, create_token, edit_token, revoke_token]
