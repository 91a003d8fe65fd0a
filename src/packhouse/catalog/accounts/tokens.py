"""Tokens: long-lived credentials that conda, pip, R and machines can carry.

A value is 48 random hex digits, shown once; only its keyed hash is stored. A token acts for its account, limited to
its scopes, and nobody makes a token that can do more than what they show themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from packhouse.catalog.accounts import store
from packhouse.catalog.accounts.keys import Keys
from packhouse.catalog.accounts.permissions import ACTIONS
from packhouse.catalog.accounts.principal import Principal
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import note
from packhouse.core.clock import LATEST, end_from_iso
from packhouse.core.db import Database, Row, Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid, random_hex

#: names that older clients use for the same thing
OLD_SCOPES = {
    "channel:manage-groups": "channel.group:edit",
    "channel:set-default-channel": "channel.default-channel:edit",
}
NAME_LENGTH = 128


class Token(msgspec.Struct, frozen=True):
    """A token without its value; times in microseconds since the epoch."""

    id: str
    account_id: int
    name: str
    scopes: frozenset[str] | None  #: None: all its account may do
    created_at: int  #: when the present value was made
    expires_at: int | None


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


def parse_expiry(text: str | None, now: int) -> int | None:
    """Return the end of a token's life from an ISO 8601 time, or a date, which is its last day (UTC).

    Raises PackhouseError("bad_request") for anything else and for a time that is over.
    """
    if text is None:
        return None
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
    db: Database, keys: Keys, principal: Principal, name: str, scopes: Iterable[str] | None, expires_at: str | None
) -> tuple[Token, str]:
    """Make a token for the caller's own account; return it and its value, which exists nowhere else.

    Raises PackhouseError: `bad_request` for an ill-formed name, scope or expiry, `conflict` for the name of another
    that works, `forbidden` if it could do more than the token the caller shows, `unauthenticated` without an account.
    """
    owner = _owner(principal)
    if not name.strip() or len(name) > NAME_LENGTH or not name.isprintable():
        raise PackhouseError("bad_request", "A token needs a name of 1 to 128 printable characters.", "Send `name`.")
    wanted = parse_scopes(scopes)
    _within(principal, wanted)
    value = random_hex(24)

    async def work(unit: Unit) -> Token:
        if await store.has_live_token(unit, owner, name):
            raise _taken(name)
        made = Token(new_uuid(), owner, name, wanted, unit.now, parse_expiry(expires_at, unit.now))
        await store.insert_token(
            unit,
            {
                "uuid": made.id, "account_id": owner, "name": name, "hash": keys.hash_of("token", value),
                "kind": "user" if wanted is None else "scope",
                "scopes": msgspec.json.encode(wanted and sorted(wanted)).decode(),
                "created_at": made.created_at, "expires_at": made.expires_at,
            },
        )  # fmt: skip
        await _tell(unit, "user_token_created", principal, made)
        return made

    return await db.write(work), value


def _taken(name: str) -> PackhouseError:
    said = f"You have a token named {name!r} already."
    return PackhouseError("conflict", said, "Choose another name, or renew or revoke that one.")


async def reissue(
    db: Database, keys: Keys, principal: Principal, token_id: str, expires_at: str | None = None
) -> tuple[Token, str]:
    """Give one of the caller's own tokens a new value; the old one stops at once.

    Without `expires_at` the new value lives as long as the old one was made to. Raises PackhouseError: `not_found`,
    `bad_request`, `forbidden` if the token can do more than the one the caller shows, `conflict` when another one of
    its name works.
    """
    owner, value = _owner(principal), random_hex(24)

    async def work(unit: Unit) -> Token:
        token = await _found(unit, token_id, owner)
        _within(principal, token.scopes)
        if await store.has_live_token(unit, owner, token.name, but=token.id):  # made while this one had expired
            raise _taken(token.name)
        until = parse_expiry(expires_at, unit.now)
        if until is None and token.expires_at is not None:
            until = min(unit.now + token.expires_at - token.created_at, LATEST)
        await store.reissue_token(unit, token_id, keys.hash_of("token", value), until)
        await _tell(unit, "user_token_updated", principal, token)
        return msgspec.structs.replace(token, created_at=unit.now, expires_at=until)

    return await db.write(work), value


async def revoke(db: Database, principal: Principal, token_id: str) -> None:
    """Stop a token for ever: one's own, or as an administrator anybody's.

    Raises PackhouseError: `not_found`, and `forbidden` if the token can do more than another one that the caller shows.
    """
    owner = None if principal.role == "admin" and principal.scopes is None else _owner(principal)

    async def work(unit: Unit) -> None:
        token = await _found(unit, token_id, owner)
        if token.id != principal.token_id and not _covers(principal, token.scopes):
            raise PackhouseError("forbidden", "That token can do more than the one you show.", "Log in to revoke it.")
        await store.revoke_token(unit, token_id)
        await _tell(unit, "user_token_revoked", principal, token)

    await db.write(work)


async def of_account(reader: Reader, account_id: int) -> list[Token]:
    """Return the tokens of an account that are not revoked, the expired ones too, oldest first."""
    return [_token(row) for row in await store.tokens(reader, account_id)]


async def shown_by(reader: Reader, principal: Principal) -> Token:
    """Return the token the caller shows (`token-info`). Raises PackhouseError("not_found") if it is none."""
    return await _found(reader, principal.token_id or "", _owner(principal))


def _owner(principal: Principal) -> int:
    if principal.account_id is None:
        raise PackhouseError("unauthenticated", "Tokens belong to an account.", "Log in first.")
    return principal.account_id


def _within(principal: Principal, wanted: frozenset[str] | None) -> None:
    if not _covers(principal, wanted):
        raise PackhouseError(
            "forbidden", "The token would be able to do more than the one you show.", "Log in, or ask for fewer scopes."
        )


def _covers(principal: Principal, scopes: frozenset[str] | None) -> bool:
    """Whether what the caller shows can do all that a token with these scopes can."""
    return principal.scopes is None or (scopes is not None and scopes <= principal.scopes)


async def _found(reader: Reader, token_id: str, owner: int | None) -> Token:
    row = await store.token_by_uuid(reader, token_id)
    if row is None or (owner is not None and row[1] != owner):
        raise PackhouseError("not_found", "There is no such token.", "List your tokens to find its id.")
    return _token(row)


def _token(row: Row) -> Token:
    return Token(row[0], row[1], row[2], decode_scopes(row[3]), row[4], row[5])


def decode_scopes(text: str) -> frozenset[str] | None:
    """Return the scopes from their column: a JSON list, or null."""
    names = msgspec.json.decode(text, type=list[str] | None)
    return None if names is None else frozenset(names)


async def _tell(unit: Unit, type_: str, principal: Principal, token: Token) -> None:
    data = {"id": token.id, "name": token.name, "scopes": None if token.scopes is None else sorted(token.scopes)}
    await record_event(unit, type=type_, actor=principal.username, object=f"token {token.name}", data=data)
    await note(unit, "token", name=token.id)
