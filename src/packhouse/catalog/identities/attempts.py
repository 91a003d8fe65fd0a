"""Outgoing sign-ins: who went to a provider and is expected back, once, within ten minutes and in the same browser."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.sign_in_tables import attempt
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit

LIFETIME = 600 * SECOND

_INSERT = insert(attempt).values(
    {
        name: bindparam(name)
        for name in (
            "state_hash", "provider_id", "browser_hash", "nonce_hash", "verifier", "next", "created_at", "expires_at"
        )
    }
)  # fmt: skip
_TAKE = (
    update(attempt)
    .where(
        attempt.c.state_hash == bindparam("state"),
        attempt.c.provider_id == bindparam("provider"),
        attempt.c.browser_hash == bindparam("browser"),
        attempt.c.used_at.is_(None),
        attempt.c.expires_at > bindparam("now"),
    )
    .values(used_at=bindparam("now"))
    .returning(attempt.c.nonce_hash, attempt.c.verifier, attempt.c.next)
)
_OLD = select(attempt.c.state_hash).where(attempt.c.expires_at < bindparam("before")).limit(bindparam("limit"))
_FORGET = delete(attempt).where(attempt.c.state_hash.in_(_OLD))


class Attempt(NamedTuple):
    """What was kept of an outgoing sign-in."""

    nonce_hash: bytes
    verifier: bytes  #: sealed
    onward: str  #: where on this server the person wanted to go


async def begin(
    unit: Unit, keys: Keys, provider_id: int, *, state: str, browser: str, nonce: str, verifier: bytes, onward: str
) -> None:
    """Remember an outgoing sign-in; of its secrets only hashes, the verifier of PKCE sealed."""
    await unit.execute(
        _INSERT,
        state_hash=keys.hash_of("state", state),
        provider_id=provider_id,
        browser_hash=keys.hash_of("browser", browser),
        nonce_hash=nonce_hash(keys, nonce),
        verifier=verifier,
        next=onward,
        created_at=unit.now,
        expires_at=unit.now + LIFETIME,
    )


async def take(unit: Unit, keys: Keys, provider_id: int, *, state: str, browser: str) -> Attempt | None:
    """Return the attempt of that state, which is used up by this; None for another provider's, another browser's, a
    used or too old one, all alike."""
    row = await unit.fetch_one(
        _TAKE,
        state=keys.hash_of("state", state),
        provider=provider_id,
        browser=keys.hash_of("browser", browser),
        now=unit.now,
    )
    return Attempt(*row) if row else None


def nonce_hash(keys: Keys, nonce: str) -> bytes:
    """Return what is kept of a nonce."""
    return keys.hash_of("nonce", nonce)


async def forget_old(unit: Unit, limit: int = 2000) -> int:
    """Delete at most `limit` of the attempts that nobody can come back from; return how many."""
    return await unit.execute(_FORGET, before=unit.now, limit=limit)
