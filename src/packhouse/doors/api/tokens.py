"""`/api/account/tokens`: the caller's tokens, and what a token can be limited to."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.accounts import reach, tokens
from packhouse.catalog.accounts.keys import load_keys
from packhouse.catalog.accounts.permissions import grantable
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Login, Page, Word
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.tokens import NewToken, TokenShape, new_token, token_shape
from packhouse.doors.api.words import Permission, ResourceType


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
    expires_at: Word | None = None  #: ISO 8601; a bare date is included whole (UTC)


class TokenRenewal(Body):
    """A new value for a token; without `expires_at` it lives as long as the old one was made to."""

    expires_at: Word | None = None


@get(["/api/account/scopes", "/api/system/scopes"], tags=["account"], responses=refused())
async def scopes(caller: Caller) -> Scopes:
    """List the scopes the caller can put into a token."""
    return Scopes(list(grantable(caller)))


@get("/api/account/tokens", tags=["account"], responses=refused())
async def list_tokens(caller: Caller, services: House) -> Page[TokenShape]:
    """List the caller's tokens, oldest first; never their values."""
    found = await tokens.of_account(services.db, caller.account_id or 0)
    reached = await reach.shown(services.db, caller, found)
    return Page([token_shape(one, reached.get(one.id)) for one in found], len(found))


@get("/api/account/token-info", tags=["account"], responses=refused())
async def token_info(caller: Caller, services: House) -> TokenShape:
    """Describe the token the caller shows; `not_found` when it was another kind of credential."""
    found = await tokens.shown_by(services.db, caller)
    return token_shape(found, (await reach.shown(services.db, caller, [found])).get(found.id))


@post("/api/account/tokens", tags=["account"], status_code=200, responses=refused("conflict"))
async def create_token(data: JSONBody[TokenRequest], caller: Caller, services: House) -> NewToken:
    """Make a token; its value is in this answer and nowhere else."""
    keys, wanted = await load_keys(services.db), None
    if data.resources is not None:
        wanted = [reach.resource(one.resource_type, one.resource_id, one.permission) for one in data.resources]
    made, value = await tokens.create(
        services.db, keys, caller, data.name, data.scopes, data.expires_at, resources=wanted
    )
    return new_token(made, wanted, value)


@put("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused("conflict"))
async def renew_token(
    token_id: FromPath[str], data: JSONBody[TokenRenewal], caller: Caller, services: House, authenticator: Login
) -> NewToken:
    """Give a token a new value; the old one stops at once."""
    keys = await load_keys(services.db)
    made, value = await tokens.reissue(services.db, keys, caller, token_id, data.expires_at)
    authenticator.forget("token", token_id)  # other processes hear of it by the list of changes
    return new_token(made, (await reach.shown(services.db, caller, [made])).get(made.id), value)


@delete("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused())
async def revoke_token(token_id: FromPath[str], caller: Caller, services: House, authenticator: Login) -> None:
    """Stop a token for ever."""
    await tokens.revoke(services.db, caller, token_id)
    authenticator.forget("token", token_id)


HANDLERS = [scopes, list_tokens, token_info, create_token, renew_token, revoke_token]
