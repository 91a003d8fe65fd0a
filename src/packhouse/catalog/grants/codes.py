"""Authorization codes (RFC 6749 section 4.1): what a browser carries from an approval to a command line, for a minute.

A code is kept as a keyed hash and used once. Its row stays, with the logins and tokens that came of it: whoever shows
it again has it from somebody else, and nobody can tell which of the two was meant, so that all of them end (section
4.1.2).
"""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from packhouse.catalog.changes import note
from packhouse.catalog.installation.keys import Keys
from packhouse.catalog.logins import logins
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.sign_in_tables import auth_code, login
from packhouse.catalog.tokens import store as token_store
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.randomness import random_hex

LIFETIME = 60  #: of a code, in seconds


class Wish(msgspec.Struct, frozen=True):
    """What a client asks a person's browser for, once it was looked at."""

    client_id: str
    redirect_uri: str
    scope: str = ""  #: of those asked for the ones that mean something here, with spaces between
    challenge: str = ""  #: of PKCE (RFC 7636), by S256; "": the client need not use it
    nonce: str = ""  #: to be said again in the ID token


class Code(msgspec.Struct, frozen=True):
    """A code that was given out; times in microseconds since the epoch."""

    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    nonce: str
    account_id: int
    expires_at: int
    signed_in_at: int  #: when the browser did
    signed_out_at: int | None


_WISH = ("client_id", "redirect_uri", "scope", "challenge", "nonce")
_INSERT = insert(auth_code).values(
    {name: bindparam(name) for name in ("code_hash", *_WISH, "account_id", "login_id", "created_at", "expires_at")}
)
_FIND = (
    select(
        *(auth_code.c[name] for name in (*_WISH, "account_id", "expires_at")),
        login.c.created_at,
        login.c.ended_at,
    )
    .join_from(auth_code, login, login.c.id == auth_code.c.login_id)
    .where(auth_code.c.code_hash == bindparam("hash"))
)
_USE = (
    update(auth_code)
    .where(auth_code.c.code_hash == bindparam("hash"), auth_code.c.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_GAVE = update(auth_code).where(auth_code.c.code_hash == bindparam("hash")).values(given=bindparam("uuid"))
_ALSO_GAVE = (
    update(auth_code)
    .where(auth_code.c.given.contains(bindparam("shown")))
    .values(given=auth_code.c.given + " " + bindparam("further"))
)
_GIVEN = select(auth_code.c.given).where(auth_code.c.code_hash == bindparam("hash"))
# an update that changes nothing waits for whoever is at the row, and says what they left
_GIVEN_HELD = (
    update(auth_code)
    .where(auth_code.c.code_hash == bindparam("hash"))
    .values(used_at=auth_code.c.used_at)
    .returning(auth_code.c.given)
)
_OLD = select(auth_code.c.code_hash).where(auth_code.c.expires_at < bindparam("before")).limit(bindparam("limit"))
_FORGET = delete(auth_code).where(auth_code.c.code_hash.in_(_OLD))


async def make(unit: Unit, keys: Keys, wish: Wish, account_id: int, login_id: int) -> str:
    """Return a new code for what an account approved by a login: 48 digits, which are masked in logs."""
    code = random_hex(24)
    await unit.execute(
        _INSERT,
        **msgspec.structs.asdict(wish),
        code_hash=_hash(keys, code),
        account_id=account_id,
        login_id=login_id,
        created_at=unit.now,
        expires_at=unit.now + LIFETIME * SECOND,
    )
    return code


async def by_code(reader: Reader, keys: Keys, code: str) -> Code | None:
    """Return a code that was given out, however old and whether or not it was used."""
    row = await reader.fetch_one(_FIND, hash=_hash(keys, code))
    return Code(*row) if row else None


async def use(unit: Unit, keys: Keys, code: str) -> bool:
    """Take a code; return True once only."""
    return await unit.execute(_USE, hash=_hash(keys, code), now=unit.now) == 1


async def gave(unit: Unit, keys: Keys, code: str, uuid: str) -> None:
    """Note which login was made from a code."""
    await unit.execute(_GAVE, hash=_hash(keys, code), uuid=uuid)


async def also_gave(unit: Unit, who: Principal, further: str) -> None:
    """Note the login or token `further`, which was made by what a caller shows, if that came of a code."""
    if shown := who.login_id or who.token_id:
        await unit.execute(_ALSO_GAVE, shown=shown, further=further)


async def end_given(unit: Unit, keys: Keys, code: str) -> tuple[list[str], list[str]]:
    """End the logins and the tokens that came of a code; return the uuids of those that had not ended."""
    ended: list[str] = []
    revoked: list[str] = []
    # Whoever makes more by one of them holds that first, and then the code: so it is here, too.
    for statement in (_GIVEN, _GIVEN_HELD):
        given = await unit.fetch_value(statement, hash=_hash(keys, code)) or ""
        for uuid in given.split():
            if (found := await logins.by_uuid(unit, uuid)) is not None and await logins.end(unit, found.id):
                ended.append(uuid)
            elif await token_store.revoke(unit, uuid):
                await note(unit, "token", name=uuid)
                revoked.append(uuid)
    return ended, revoked


async def forget_old(unit: Unit, before: int, limit: int = 2000) -> int:
    """Drop at most `limit` codes that expired before a time; return how many."""
    return await unit.execute(_FORGET, before=before, limit=limit)


def _hash(keys: Keys, code: str) -> bytes:
    return keys.hash_of("authorization code", code)
