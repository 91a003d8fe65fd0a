"""`/api/account`: the caller, their channels and their tokens."""

from __future__ import annotations

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from packhouse.catalog.accounts import store as accounts
from packhouse.catalog.accounts import tokens
from packhouse.catalog.accounts.keys import load_keys
from packhouse.catalog.accounts.permissions import grantable
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.listing import channels as list_channels
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Limit, Login, Offset, Page, Sort, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.accounts import (
    AccountShape,
    NewToken,
    TokenShape,
    account_shape,
    new_token,
    token_shape,
)
from packhouse.doors.api.shapes.channels import ChannelShape, own_channel


class Scopes(msgspec.Struct):
    """What a token of the caller can be limited to."""

    scopes: list[str]


class TokenRequest(Body):
    """A token to be made. Without `scopes` it may do whatever its account may."""

    name: Word
    scopes: list[Word] | None = None  #: actions of the permissions page; null: whatever its account may
    expires_at: Word | None = None  #: ISO 8601; a bare date is included whole (UTC)


class TokenRenewal(Body):
    """A new value for a token; without `expires_at` it lives as long as the old one was made to."""

    expires_at: Word | None = None


@get(["/api/account", "/api/account/me"], tags=["account"], responses=refused())
async def account(caller: Caller, services: House) -> AccountShape:
    """Tell who the caller is."""
    found = await accounts.by_id(services.db, caller.account_id or 0)
    if found is None:
        raise PackhouseError("unauthenticated", "The account is gone.", "Log in again.")
    default = await channels.by_id(services.db, found.default_channel_id) if found.default_channel_id else None
    return account_shape(found, default.path if default else None)


@get("/api/account/channels", tags=["account"], responses=refused())
async def account_channels(
    caller: Caller,
    services: House,
    limit: Limit = 100,
    offset: Offset = 0,
    sort: Sort = "name",
    include_subchannels: FromQuery[bool] = True,
) -> Page[ChannelShape]:
    """List the channels the caller owns or was granted."""
    given = {"mine": True} | ({} if include_subchannels else {"top": True})
    rows, total = await list_channels(services.db, caller, given, sort=sort, limit=page_size(limit), offset=offset)
    return Page([own_channel(row, caller) for row in rows], total)


@get(["/api/account/scopes", "/api/system/scopes"], tags=["account"], responses=refused())
async def scopes(caller: Caller) -> Scopes:
    """List the scopes the caller can put into a token."""
    return Scopes(list(grantable(caller)))


@get("/api/account/tokens", tags=["account"], responses=refused())
async def list_tokens(caller: Caller, services: House) -> Page[TokenShape]:
    """List the caller's tokens, oldest first; never their values."""
    found = [token_shape(one) for one in await tokens.of_account(services.db, caller.account_id or 0)]
    return Page(found, len(found))


@get("/api/account/token-info", tags=["account"], responses=refused())
async def token_info(caller: Caller, services: House) -> TokenShape:
    """Describe the token the caller shows; `not_found` when it was another kind of credential."""
    return token_shape(await tokens.shown_by(services.db, caller))


@post("/api/account/tokens", tags=["account"], status_code=200, responses=refused())
async def create_token(data: JSONBody[TokenRequest], caller: Caller, services: House) -> NewToken:
    """Make a token; its value is in this answer and nowhere else."""
    keys = await load_keys(services.db)
    return new_token(*await tokens.create(services.db, keys, caller, data.name, data.scopes, data.expires_at))


@put("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused())
async def renew_token(
    token_id: FromPath[str], data: JSONBody[TokenRenewal], caller: Caller, services: House, authenticator: Login
) -> NewToken:
    """Give a token a new value; the old one stops at once."""
    keys = await load_keys(services.db)
    made = await tokens.reissue(services.db, keys, caller, token_id, data.expires_at)
    authenticator.forget("token", token_id)  # other processes hear of it by the list of changes
    return new_token(*made)


@delete("/api/account/tokens/{token_id:str}", tags=["account"], responses=refused())
async def revoke_token(token_id: FromPath[str], caller: Caller, services: House, authenticator: Login) -> None:
    """Stop a token for ever."""
    await tokens.revoke(services.db, caller, token_id)
    authenticator.forget("token", token_id)


HANDLERS = [account, account_channels, scopes, list_tokens, token_info, create_token, renew_token, revoke_token]
