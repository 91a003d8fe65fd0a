"""Tokens of a channel's service account: made by who manages the channel, each for some channels up to levels.

The account has what was granted to it, and a token never more than the account. Where a token needs more than the
account has, the account is given it: that is sharing the channel, so whoever asks for it must be able to share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from packhouse.catalog import changes
from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.holding import holding_of
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.grants import codes
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins.standing import require_standing
from packhouse.catalog.rights.giving import check_scopes
from packhouse.catalog.rights.permissions import Decision, Level, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.tokens import service_accounts
from packhouse.catalog.tokens import store as token_store
from packhouse.catalog.tokens.reach import PROOF, WORDS, Resource, resolve, targets
from packhouse.catalog.tokens.service_accounts import ServiceAccount
from packhouse.catalog.tokens.token import Token
from packhouse.core.clock import DAY, to_iso
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid
from packhouse.workflows.people import tokens
from packhouse.workflows.services import Services

#: how long a token of a machine lives at most, and unless said otherwise, in days
MOST_DAYS, DAYS = 365, 30


async def ensure(services: Services, here: Channel, principal: Principal) -> ServiceAccount:
    """Return the service account of a channel, made now if there is none. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> ServiceAccount:
        await require_standing(unit, principal)
        return await service_accounts.ensure(unit, here, principal.username)

    return await services.db.write(work)


async def delete(services: Services, here: Channel, account_id: int, principal: Principal) -> str:
    """Delete the service account of a channel with its tokens; return its name. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> str:
        await require_standing(unit, principal)
        account = await found(unit, here, account_id)
        await service_accounts.end(unit, here.id, principal.username)
        return account.username

    return await services.db.write(work)


async def make_token(
    services: Services,
    keys: Keys,
    principal: Principal,
    here: Channel,
    account_id: int,
    *,
    name: str,
    resources: Sequence[Resource],
    expires_at: str | None = None,
    max_days: int | None = None,
    description: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> tuple[Token, str]:
    """Make a token of the service account of `here`; return it and its value, which exists nowhere else.

    Raises PackhouseError: `bad_request`, `conflict` for the name of another token of the account that works,
    `not_found` or `forbidden` for a channel of `resources`, see `_give`.
    """
    tokens.check_name(name)
    told, value = tokens.check_metadata(dict(metadata or {})), tokens.new_value()

    async def work(unit: Unit) -> Token:
        await require_standing(unit, principal)
        account = await _held(unit, here, account_id)
        if await token_store.has_live(unit, account.id, name):
            raise tokens.taken(name)
        levels = await _give(unit, principal, account, resources)
        wanted = _end(expires_at, max_days, unit.now) or unit.now + DAYS * DAY
        until = await tokens.no_later(unit, principal, wanted)
        draft = Token(0, new_uuid(), account.id, "resource", name, None, unit.now, until, description, told)
        made = await token_store.add(unit, draft, keys.hash_of("token", value), principal.account_id, levels)
        await codes.also_gave(unit, principal, made.id)
        await tokens.tell(unit, "user_token_created", principal, made, resources)
        return made

    return await services.db.write(work), value


async def edit_token(
    services: Services,
    principal: Principal,
    here: Channel,
    account_id: int,
    token_id: str,
    *,
    name: str | None = None,
    resources: Sequence[Resource] | None = None,
    expires_at: str | None = None,
    max_days: int | None = None,
    description: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Token:
    """Change a token of the service account; None: stays as it is. `max_days` count from now. Its value stays.

    Raises PackhouseError as `make_token`, and `not_found` for the token.
    """
    if name is not None:
        tokens.check_name(name)
    told = None if metadata is None else tokens.check_metadata(metadata)

    async def work(unit: Unit) -> Token:
        await require_standing(unit, principal)
        account = await _held(unit, here, account_id)
        token = await _token(unit, account, token_id)
        given = {"name": name, "description": description, "metadata": told}
        now = msgspec.structs.replace(token, **{key: value for key, value in given.items() if value is not None})
        if now.name != token.name and await token_store.has_live(unit, account.id, now.name, but=token.id):
            raise tokens.taken(now.name)
        await token_store.edit(unit, token.id, now.name, now.description, now.metadata)
        if resources is not None:
            await token_store.give(unit, token.number, await _give(unit, principal, account, resources))
        end = _end(expires_at, max_days, unit.now)
        if end is not None:
            until = await tokens.no_later(unit, principal, end)
            now = msgspec.structs.replace(now, expires_at=until)
            await token_store.expire(unit, token.id, until)
        said_only = resources is None and end is None
        type_ = "user_token_metadata_updated" if said_only else "user_token_updated"
        await tokens.tell(unit, type_, principal, now, resources)
        return now

    return await services.db.write(work)


async def revoke_token(services: Services, principal: Principal, here: Channel, account_id: int, token_id: str) -> None:
    """Stop a token of the service account for ever. Raises PackhouseError("not_found")."""

    async def work(unit: Unit) -> None:
        token = await _token(unit, await found(unit, here, account_id), token_id)
        await token_store.revoke(unit, token.id)
        await tokens.tell(unit, "user_token_revoked", principal, token)

    await services.db.write(work)


async def found(reader: Reader, here: Channel, account_id: int) -> ServiceAccount:
    """Return the service account of `here`, whose id must be that one. Raises PackhouseError("not_found")."""
    account = await service_accounts.of_channel(reader, here.id)
    if account is None or account.id != account_id:
        said = f"{here.path} has no service account with that id."
        raise PackhouseError("not_found", said, "List its service accounts, or make one.")
    return account


async def _held(unit: Unit, here: Channel, account_id: int) -> ServiceAccount:
    """Return the service account of `here`, whose tokens nobody else changes until the unit ends. Raises as `found`."""
    await store.hold(unit, account_id)
    return await found(unit, here, account_id)


async def _token(reader: Reader, account: ServiceAccount, token_id: str) -> Token:
    token = await token_store.by_uuid(reader, token_id)
    if token is None or token.account_id != account.id:
        raise PackhouseError("not_found", "There is no such token.", "List the tokens to find its id.")
    return token


def _end(expires_at: str | None, max_days: int | None, now: int) -> int | None:
    """Return when a token shall end; None: nothing was said. Raises PackhouseError("bad_request")."""
    until, last = tokens.end_of_life(expires_at, max_days, now), now + MOST_DAYS * DAY
    if until is not None and until > last:
        said = f"A token of a service account lives for {MOST_DAYS} days at most."
        raise PackhouseError("bad_request", said, f"Let it end by {to_iso(last)}, and renew the token in time.")
    return until


async def _give(
    unit: Unit, principal: Principal, account: ServiceAccount, resources: Sequence[Resource]
) -> dict[int, Level]:
    """Return the levels by channel id, once the account has them.

    Raises PackhouseError: what `resolve` raises; `forbidden` for a level the account lacks on a channel that the caller
    may not share, and for more than the scopes of the token the caller shows.
    """
    levels = await resolve(unit, principal, resources)
    check_scopes(principal, max(levels.values()))
    machine = (await holding_of(unit, account.id)).principal(account.id, account.username)
    paths = [one.path for one in resources]
    its, callers = await targets(unit, machine, paths), await targets(unit, principal, paths)
    for one in resources:
        if permit(machine, PROOF[one.level], its[one.path]) is Decision.ALLOWED:
            continue
        target = callers[one.path]
        if permit(principal, "channel.group:edit", target) is not Decision.ALLOWED:
            raise PackhouseError(
                "forbidden",
                f"The service account may not {WORDS[one.level]} in {one.path}, and you may not share that channel.",
                "Have somebody who manages both channels make the token.",
            )
        await _raise(unit, principal, account, one, target.channel_id or 0)
    return levels


async def _raise(unit: Unit, principal: Principal, account: ServiceAccount, one: Resource, channel_id: int) -> None:
    await service_accounts.raise_grant(unit, account.id, channel_id, one.level)
    await changes.note(unit, "people")
    await record_event(
        unit, type="service_account_granted", actor=principal.username, object=one.path, channel_id=channel_id,
        data={"username": account.username, "permission": WORDS[one.level]},
    )  # fmt: skip
