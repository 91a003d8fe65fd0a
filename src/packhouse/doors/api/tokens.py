"""`/api/account/tokens`: the caller's tokens, and what a token can be limited to."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.accounts.looking_after import looked_after
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.permissions import grantable
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.tokens import reach
from packhouse.catalog.tokens.token import Token
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import PAGE_ITEMS, Caller, House, Limit, Login, Offset, Page, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.tokens import NewToken, TokenShape, new_token, token_shape
from packhouse.doors.api.words import Permission, ResourceType
from packhouse.workflows.people import tokens
from packhouse.workflows.services import Services


class Scopes(msgspec.Struct):
    """What a token of the caller can be limited to."""

    scopes: list[str]


class ResourceRequest(Body):
    """A channel that a token shall reach."""

    resource_type: ResourceType
    resource_id: Word  #: its name; of a subchannel CHANNEL/SUBCHANNEL
    permission: Permission


class TokenRequest(Body):
    """A token to be made. Without `scopes` and `resources` it may do whatever its account may."""

    name: Word
    scopes: list[Word] | None = None  #: actions of the permissions page; never together with `resources`
    resources: list[ResourceRequest] | None = None  #: the channels it is for; elsewhere it is nobody in particular
    expires_at: Word | None = None  #: ISO 8601; a bare date is included whole (UTC). Unsent, as `max_days`: no end
    max_days: int | None = None  #: from now; instead of `expires_at`
    description: Word = ""
    metadata: dict[str, Any] = {}  #: whatever its maker wants to know of it, 4 kB at most


class TokenEdit(Body):
    """What shall be said otherwise of a token; unsent members stay as they are, and so does its value."""

    name: Word | None = None
    description: Word | None = None
    metadata: dict[str, Any] | None = None


class TokenRenewal(Body):
    """A new value for a token; where no end is said it lives as long as the old one was made to."""

    expires_at: Word | None = None
    max_days: int | None = None  #: from now; instead of `expires_at`


@get(["/api/account/scopes", "/api/system/scopes"], tags=["account"], responses=refused())
async def scopes(caller: Caller) -> Scopes:
    """List the scopes that let a token of the caller do something; others can be named, and give nothing."""
    return Scopes(list(grantable(caller)))


@get("/api/account/tokens", tags=["account"], responses=refused())
async def list_tokens(
    caller: Caller, services: House, limit: Limit = PAGE_ITEMS, offset: Offset = 0
) -> Page[TokenShape]:
    """List the caller's tokens, oldest first; never their values."""
    return await _page(services, caller, caller.account_id or 0, limit, offset)


async def _page(services: Services, caller: Principal, account_id: int, limit: int, offset: int) -> Page[TokenShape]:
    db = services.db
    found, total = await tokens.of_account(db, account_id, page_size(limit), offset)
    reached, now = await reach.shown(db, caller, found), await db.now()
    return Page([token_shape(one, reached.get(one.id), now) for one in found], total)


@get("/api/account/token-info", tags=["account"], responses=refused())
async def token_info(caller: Caller, services: House) -> TokenShape:
    """Describe the token the caller shows; `not_found` when it was another kind of credential."""
    return await _shape(services, caller, await tokens.shown_by(services.db, caller))


async def _shape(services: Services, caller: Principal, token: Token) -> TokenShape:
    reached = await reach.shown(services.db, caller, [token])
    return token_shape(token, reached.get(token.id), await services.db.now())


@post("/api/account/tokens", tags=["account"], status_code=200, responses=refused("conflict"))
async def create_token(data: JSONBody[TokenRequest], caller: Caller, services: House) -> NewToken:
    """Make a token; its value is in this answer and nowhere else."""
    keys, wanted = await load_keys(services.db, services.sealer), None
    if data.resources is not None:
        wanted = [reach.resource(one.resource_type, one.resource_id, one.permission) for one in data.resources]
    made, value = await tokens.create(
        services.db, keys, caller, data.name, data.scopes, data.expires_at,
        max_days=data.max_days, resources=wanted, description=data.description, metadata=data.metadata,
    )  # fmt: skip
    return new_token(made, wanted, value)


@put("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused("conflict"))
async def renew_token(
    token_id: FromPath[str], data: JSONBody[TokenRenewal], caller: Caller, services: House, authenticator: Login
) -> NewToken:
    """Give a token a new value; the old one stops at once."""
    keys = await load_keys(services.db, services.sealer)
    made, value = await tokens.reissue(services.db, keys, caller, token_id, data.expires_at, data.max_days)
    authenticator.forget("token", token_id)  # other processes hear of it by the list of changes
    return new_token(made, (await reach.shown(services.db, caller, [made])).get(made.id), value)


@patch("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused("conflict"))
async def edit_token(token_id: FromPath[str], data: JSONBody[TokenEdit], caller: Caller, services: House) -> TokenShape:
    """Change what is said of a token. What it may is decided when it is made."""
    made = await tokens.edit(
        services.db, caller, token_id, name=data.name, description=data.description, metadata=data.metadata
    )
    return await _shape(services, caller, made)


@delete("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused())
async def revoke_token(token_id: FromPath[str], caller: Caller, services: House, authenticator: Login) -> None:
    """Stop a token for ever."""
    await tokens.revoke(services.db, caller, token_id)
    authenticator.forget("token", token_id)


@get("/api/users/{username:str}/tokens", tags=["users"], responses=refused())
async def list_tokens_of(
    username: FromPath[str], caller: Caller, services: House, limit: Limit = 100, offset: Offset = 0
) -> Page[TokenShape]:
    """List somebody's tokens, for who may manage accounts and has all that this one has."""
    found = await looked_after(services.db, caller, username, whole=True)
    return await _page(services, caller, found.id, limit, offset)


@delete("/api/users/{username:str}/tokens/{token_id:str}", tags=["users"], responses=refused())
async def revoke_token_of(
    username: FromPath[str], token_id: FromPath[str], caller: Caller, services: House, authenticator: Login
) -> None:
    """Stop somebody's token for ever."""
    await tokens.revoke(services.db, caller, token_id, username)
    authenticator.forget("token", token_id)


HANDLERS = [
    *(scopes, list_tokens, token_info, create_token, renew_token, edit_token, revoke_token),
    *(list_tokens_of, revoke_token_of),
]
