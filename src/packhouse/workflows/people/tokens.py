"""Tokens: long-lived credentials that conda, pip, R and machines can carry.

A value is `ph-`, by which scanners of secrets know it, and 48 random hex digits; it is shown once, and only its keyed
hash is stored. A token acts for its account, limited to its scopes or to some channels (never both), and nobody makes
one that can do more than what they show themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from packhouse.catalog.accounts.looking_after import looked_after
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.catalog.grants import codes
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins.standing import ended, require_standing
from packhouse.catalog.rights.permissions import ACTIONS, Level
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.tokens import store
from packhouse.catalog.tokens.reach import WORDS, Resource, resolve
from packhouse.catalog.tokens.token import Kind, Token
from packhouse.core.clock import DAY, LATEST, end_from_iso, to_iso
from packhouse.core.db import Database, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid, random_hex

#: what every value begins with; older ones are 48 hex digits alone
PREFIX = "ph-"
#: names that older clients use for the same thing
OLD_SCOPES = {
    "channel:manage-groups": "channel.group:edit",
    "channel:set-default-channel": "channel.default-channel:edit",
}
NAME_LENGTH = 128
#: of what a maker keeps with a token, as JSON
METADATA_BYTES = 4096


def parse_scopes(names: Iterable[str] | None) -> frozenset[str] | None:
    """Return the scopes, old names translated. Raises PackhouseError("bad_request") naming an unknown one."""
    if names is None:
        return None
    scopes = frozenset(OLD_SCOPES.get(name, name) for name in names)
    if unknown := sorted(scopes - set(ACTIONS)):
        raise PackhouseError(
            "bad_request", f"{unknown[0][:80]!r} is not a scope.", "`GET /api/account/scopes` lists them."
        )
    return scopes


def end_of_life(expires_at: str | None, max_days: int | None, now: int) -> int | None:
    """Return when a token ends of which one of the two was said; None: neither was.

    Raises PackhouseError("bad_request") for both, less than a day, and what `_expiry` refuses.
    """
    if max_days is None:
        return None if expires_at is None else _expiry(expires_at, now)
    if expires_at is not None:
        raise PackhouseError("bad_request", "`expires_at` and `max_days` both say when it ends.", "Send one of them.")
    if max_days < 1:
        raise PackhouseError("bad_request", "A token lives for a day at least.", "Correct `max_days`.")
    return min(now + max_days * DAY, LATEST)


def _expiry(text: str, now: int) -> int:
    """Return the end of a token's life from an ISO 8601 time, or a date, which is its last day (UTC).

    Raises PackhouseError("bad_request") for anything else and for a time that is over.
    """
    try:
        until = end_from_iso(text)
    except (ValueError, OverflowError):
        raise PackhouseError(
            "bad_request", f"{text[:40]!r} is not a date.", "Write it like 2027-01-31 or 2027-01-31T12:00:00Z."
        ) from None
    if until <= now:
        raise PackhouseError("bad_request", f"The expiry {text} is in the past.", "Choose a later date.")
    return until


async def create(
    db: Database,
    keys: Keys,
    principal: Principal,
    name: str,
    scopes: Iterable[str] | None,
    expires_at: str | None,
    *,
    max_days: int | None = None,
    resources: Sequence[Resource] | None = None,
    description: str = "",
    metadata: dict[str, Any] | None = None,
) -> tuple[Token, str]:
    """Make a token for the caller's own account; return it and its value, which exists nowhere else.

    Raises PackhouseError: `bad_request` for an ill-formed name, scope or expiry, and for scopes and resources together;
    `conflict` for the name of another that works; `not_found` or `forbidden` for a channel, see `resolve`; `forbidden`
    if it could do more, or for longer, than the token the caller shows; `unauthenticated` without an account.
    """
    owner = _owner(principal)
    check_name(name)
    check_metadata(metadata or {})
    wanted, kind = parse_scopes(scopes), _kind(scopes, resources)
    value = new_value()

    async def work(unit: Unit) -> Token:
        await require_standing(unit, principal)
        if await store.has_live(unit, owner, name):
            raise taken(name)
        until = await no_later(unit, principal, end_of_life(expires_at, max_days, unit.now))
        draft = Token(0, new_uuid(), owner, kind, name, wanted, unit.now, until, description, metadata or {})
        _within(principal, draft)
        levels = None if resources is None else await resolve(unit, principal, resources)
        made = await store.add(unit, draft, keys.hash_of("token", value), owner, levels)
        await codes.also_gave(unit, principal, made.id)
        await tell(unit, "user_token_created", principal, made, resources)
        return made

    return await db.write(work), value


def check_name(name: str) -> str:
    """Return `name` if a token may bear it. Raises PackhouseError("bad_request")."""
    if not name.strip() or len(name) > NAME_LENGTH or not name.isprintable():
        raise PackhouseError("bad_request", "A token needs a name of 1 to 128 printable characters.", "Send `name`.")
    return name


def new_value() -> str:
    """Return the value of a new token: 192 random bits."""
    return PREFIX + random_hex(24)


def _kind(scopes: Iterable[str] | None, resources: Sequence[Resource] | None) -> Kind:
    if scopes is not None and resources is not None:
        raise PackhouseError(
            "bad_request",
            "A token is limited either to scopes or to channels.",
            "Send `scopes` or `resources`; for both make two tokens.",
        )
    if resources is not None:
        return "resource"
    return "user" if scopes is None else "scope"


def taken(name: str) -> PackhouseError:
    """Return the refusal of a name that another token has."""
    said = f"There is a token named {name!r} already."
    return PackhouseError("conflict", said, "Choose another name, or renew or revoke that one.")


async def reissue(
    db: Database,
    keys: Keys,
    principal: Principal,
    token_id: str,
    expires_at: str | None = None,
    max_days: int | None = None,
) -> tuple[Token, str]:
    """Give one of the caller's own tokens a new value; the old one stops at once.

    Where no end is said the new value lives as long as the old one was made to. Raises PackhouseError: `not_found`,
    `bad_request`, `forbidden` if the token can do more than the one the caller shows, or would for longer, `conflict`
    when another one of its name works.
    """
    owner, value = _owner(principal), new_value()

    async def work(unit: Unit) -> Token:
        await require_standing(unit, principal)
        token = await _found(unit, token_id, owner)
        _within(principal, token)
        if await store.has_live(unit, owner, token.name, but=token.id):  # made while this one had expired
            raise taken(token.name)
        until = end_of_life(expires_at, max_days, unit.now)
        if until is None and token.expires_at is not None:
            until = min(unit.now + token.expires_at - token.created_at, LATEST)
        until = await no_later(unit, principal, until)
        await store.reissue(unit, token_id, keys.hash_of("token", value), until)
        await codes.also_gave(unit, principal, token.id)
        await tell(unit, "user_token_updated", principal, token)
        return msgspec.structs.replace(token, created_at=unit.now, expires_at=until)

    return await db.write(work), value


async def edit(
    db: Database,
    principal: Principal,
    token_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Token:
    """Change what is said of one of the caller's own tokens; None: stays as it is. Its value and rights stay.

    Raises PackhouseError: `not_found`, `bad_request`, `conflict` for the name of another token that works, `forbidden`
    if the token can do more than the one the caller shows.
    """
    owner = _owner(principal)
    if name is not None:
        check_name(name)

    async def work(unit: Unit) -> Token:
        await require_standing(unit, principal)
        token = await _found(unit, token_id, owner)
        _within(principal, token)
        now = msgspec.structs.replace(
            token,
            name=token.name if name is None else name,
            description=token.description if description is None else description,
            metadata=token.metadata if metadata is None else check_metadata(metadata),
        )
        if now == token:
            return token
        if now.name != token.name and await store.has_live(unit, owner, now.name, but=token.id):
            raise taken(now.name)
        await store.edit(unit, token.id, now.name, now.description, now.metadata)
        await tell(unit, "user_token_metadata_updated", principal, now)
        return now

    return await db.write(work)


def check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return `metadata` if a token may have it. Raises PackhouseError("bad_request")."""
    if len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        raise PackhouseError("bad_request", f"`metadata` has more than {METADATA_BYTES} bytes.", "Keep it elsewhere.")
    return metadata


async def revoke(db: Database, principal: Principal, token_id: str, username: str | None = None) -> None:
    """Stop a token for ever: one's own, as an administrator anybody's, or with `username` one of that account.

    Raises PackhouseError: `not_found`, and `forbidden` if the token can do more than another one that the caller shows,
    or its account more than the caller.
    """
    everybodys = principal.role == "admin" and principal.scopes is None

    async def work(unit: Unit) -> None:
        if username is not None:
            owner: int | None = (await looked_after(unit, principal, username, whole=True)).id
        else:
            owner = None if everybodys else _owner(principal)
        token = await _found(unit, token_id, owner)
        if token.id != principal.token_id and not _covers(principal, token):
            raise PackhouseError("forbidden", "That token can do more than the one you show.", "Log in to revoke it.")
        await store.revoke(unit, token_id)
        await tell(unit, "user_token_revoked", principal, token)

    await db.write(work)


async def of_account(reader: Reader, account_id: int, limit: int = LATEST, offset: int = 0) -> tuple[list[Token], int]:
    """Return the tokens of an account that are not revoked, the expired ones too, oldest first, and their number."""
    return await store.page(reader, account_id, limit, offset)


async def shown_by(reader: Reader, principal: Principal) -> Token:
    """Return the token the caller shows (`token-info`). Raises PackhouseError("not_found") if it is none."""
    return await _found(reader, principal.token_id or "", _owner(principal))


def _owner(principal: Principal) -> int:
    if principal.account_id is None:
        raise PackhouseError("unauthenticated", "Tokens belong to an account.", "Log in first.")
    return principal.account_id


def _within(principal: Principal, token: Token) -> None:
    if not _covers(principal, token):
        raise PackhouseError(
            "forbidden", "The token would be able to do more than the one you show.", "Log in, or ask for fewer scopes."
        )


async def no_later(unit: Unit, principal: Principal, until: int | None) -> int | None:
    """Return when a token made with the one the caller shows ends: with that one, unless it says an earlier time.

    Else one that was found or forgotten would give itself another life. Raises PackhouseError:
    `forbidden` for a later, `unauthenticated` when it has ended.
    """
    if principal.token_id is None:
        return until
    shown = await store.by_uuid(unit, principal.token_id)
    if shown is None:
        raise ended()
    end = shown.expires_at
    if until is not None and end is not None and until > end:
        raise PackhouseError(
            "forbidden", "The token would outlive the one you show.", f"Log in, or let it end by {to_iso(end)}."
        )
    return end if until is None else until


def _covers(principal: Principal, token: Token) -> bool:
    """Whether what the caller shows can do all that a token can."""
    if principal.resources is not None:
        return False
    return principal.scopes is None or (token.scopes is not None and token.scopes <= principal.scopes)


async def _found(reader: Reader, token_id: str, owner: int | None) -> Token:
    token = await store.by_uuid(reader, token_id)
    if token is None or (owner is not None and token.account_id != owner):
        raise PackhouseError("not_found", "There is no such token.", "List your tokens to find its id.")
    return token


async def tell(
    unit: Unit, type_: str, principal: Principal, token: Token, resources: Sequence[Resource] | None = None
) -> None:
    """Write the event of a change of a token, and let every process drop what it remembers of it."""
    data: dict[str, Any] = {
        "id": token.id,
        "name": token.name,
        "scopes": None if token.scopes is None else sorted(token.scopes),
    }
    if resources is not None:
        data["resources"] = {one.path: WORDS[Level(one.level)] for one in resources}
    await record_event(unit, type=type_, actor=principal.username, object=f"token {token.name}", data=data)
    await note(unit, "token", name=token.id)
