"""Queries of tokens: never of a value, only of its keyed hash."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from packhouse.catalog.people_tables import account, token, token_grant
from packhouse.catalog.rights.visibility import VISIBLE
from packhouse.catalog.schema import channel
from packhouse.catalog.tokens.token import Token, decode_scopes, encode_scopes
from packhouse.core.db import Row, Unit, any_of
from packhouse.core.db.base import Reader

#: in the order of the fields of Token
_TOKEN = (
    token.c.id, token.c.uuid, token.c.account_id, token.c.kind, token.c.name, token.c.scopes, token.c.created_at,
    token.c.expires_at, token.c.description, token.c.metadata, token.c.last_used_at, token.c.last_used_from,
)  # fmt: skip
_OF_ACCOUNT = (token.c.account_id == bindparam("account_id"), token.c.revoked_at.is_(None))
_PAGE = select(*_TOKEN).where(*_OF_ACCOUNT).order_by(token.c.id).limit(bindparam("limit")).offset(bindparam("offset"))
_COUNT = select(func.count()).where(*_OF_ACCOUNT)
_LIVE_NAME = select(token.c.id).where(
    token.c.account_id == bindparam("account_id"),
    token.c.name == bindparam("name"),
    token.c.uuid != bindparam("but"),
    token.c.revoked_at.is_(None),
    or_(token.c.expires_at.is_(None), token.c.expires_at > bindparam("now")),
)
_BY_UUID = select(*_TOKEN).where(token.c.uuid == bindparam("uuid"), token.c.revoked_at.is_(None))
_WRITTEN = (
    "uuid", "account_id", "kind", "name", "hash", "scopes", "description", "metadata", "created_by", "created_at",
    "expires_at",
)  # fmt: skip
_INSERT = insert(token).values({name: bindparam(name) for name in _WRITTEN}).returning(token.c.id)
_GIVE = insert(token_grant).values({name: bindparam(name) for name in ("token_id", "channel_id", "level")})
_TAKE = delete(token_grant).where(token_grant.c.token_id == bindparam("of_token"))
_EXPIRE = (
    update(token)
    .where(token.c.uuid == bindparam("token_uuid"), token.c.revoked_at.is_(None))
    .values(expires_at=bindparam("until"))
)
_REISSUE = (
    update(token)
    .where(token.c.uuid == bindparam("token_uuid"), token.c.revoked_at.is_(None))
    .values(hash=bindparam("new_hash"), created_at=bindparam("now"), expires_at=bindparam("until"))
)
_EDIT = (
    update(token)
    .where(token.c.uuid == bindparam("token_uuid"), token.c.revoked_at.is_(None))
    .values({name: bindparam("new_" + name) for name in ("name", "description", "metadata")})
)
_USED = (
    update(token)
    .where(
        token.c.uuid == bindparam("token_uuid"),
        or_(token.c.last_used_at.is_(None), token.c.last_used_at < bindparam("at")),
    )
    .values(last_used_at=bindparam("at"), last_used_from=bindparam("address"))
)
_REVOKE = (
    update(token)
    .where(token.c.uuid == bindparam("token_uuid"), token.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
)
_BEARER = (
    select(account.c.id, account.c.username, token.c.uuid, token.c.id, token.c.kind, token.c.scopes, token.c.expires_at,
           account.c.provider_id, account.c.confirmed_at)
    .join(account, account.c.id == token.c.account_id)
    .where(token.c.hash == bindparam("hash"), token.c.revoked_at.is_(None), account.c.disabled_at.is_(None))
)  # fmt: skip
_GRANTS = (
    select(token_grant.c.channel_id, token_grant.c.level)
    .where(token_grant.c.token_id == bindparam("token_id"))
    .order_by(token_grant.c.channel_id)
)
_SHOWN_GRANTS = (
    select(token_grant.c.token_id, channel.c.path, token_grant.c.level)
    .join(channel, channel.c.id == token_grant.c.channel_id)
    .where(any_of(token_grant.c.token_id, "numbers"), VISIBLE)
    .order_by(token_grant.c.token_id, channel.c.path)
)


async def page(reader: Reader, account_id: int, limit: int, offset: int) -> tuple[list[Token], int]:
    """Return tokens of an account that are not revoked, oldest first, and how many there are."""
    rows = await reader.fetch_all(_PAGE, account_id=account_id, limit=limit, offset=offset)
    return [_token(row) for row in rows], int(await reader.fetch_value(_COUNT, account_id=account_id))


async def by_uuid(reader: Reader, uuid: str) -> Token | None:
    """Return a token that is not revoked."""
    row = await reader.fetch_one(_BY_UUID, uuid=uuid)
    return _token(row) if row else None


async def has_live(unit: Unit, account_id: int, name: str, but: str = "") -> bool:
    """Whether a token of that name, other than `but` (uuid), works; the account is held."""
    return await unit.fetch_one(_LIVE_NAME, account_id=account_id, name=name, but=but, now=unit.now) is not None


async def add(
    unit: Unit, made: Token, value_hash: bytes, created_by: int | None, levels: Mapping[int, int] | None
) -> Token:
    """Keep a new token with the levels it has on channels, if it is limited to some; return it with its number."""
    number = await unit.fetch_value(
        _INSERT,
        uuid=made.id,
        account_id=made.account_id,
        kind=made.kind,
        name=made.name,
        hash=value_hash,
        scopes=encode_scopes(made.scopes),
        description=made.description,
        metadata=msgspec.json.encode(made.metadata).decode(),
        created_by=created_by,
        created_at=made.created_at,
        expires_at=made.expires_at,
    )
    if levels:
        await give(unit, int(number), levels)
    return msgspec.structs.replace(made, number=int(number))


async def give(unit: Unit, number: int, levels: Mapping[int, int]) -> None:
    """Let a resource token reach these channels, by id up to a level, and no others."""
    await unit.execute(_TAKE, of_token=number)
    rows = [{"token_id": number, "channel_id": channel_id, "level": int(level)} for channel_id, level in levels.items()]
    await unit.execute_many(_GIVE, rows)


async def expire(unit: Unit, uuid: str, expires_at: int | None) -> None:
    """Set when a token ends."""
    await unit.execute(_EXPIRE, token_uuid=uuid, until=expires_at)


async def reissue(unit: Unit, uuid: str, new_hash: bytes, expires_at: int | None) -> None:
    """Give a token a new value; the old one stops."""
    await unit.execute(_REISSUE, token_uuid=uuid, new_hash=new_hash, now=unit.now, until=expires_at)


async def edit(unit: Unit, uuid: str, name: str, description: str, metadata: Mapping[str, Any]) -> None:
    """Set what people say of a token; its value and what it may stay."""
    text = msgspec.json.encode(metadata).decode()
    await unit.execute(_EDIT, token_uuid=uuid, new_name=name, new_description=description, new_metadata=text)


async def used(unit: Unit, uses: Sequence[tuple[str, int, str]]) -> None:
    """Keep (uuid, time, address) as the last uses of tokens, unless a later one is known."""
    rows = [{"token_uuid": uuid, "at": at, "address": address} for uuid, at, address in uses]
    await unit.execute_many(_USED, rows)


async def revoke(unit: Unit, uuid: str) -> bool:
    """Stop a token for ever; one that was stopped stays as it is, and that is said."""
    return await unit.execute(_REVOKE, token_uuid=uuid, now=unit.now) == 1


async def bearer(reader: Reader, token_hash: bytes) -> Row | None:
    """Return the live token with that hash.

    That is (account id, username, uuid, number, kind, scopes, expires_at) and of its account (provider, confirmed_at).
    """
    return await reader.fetch_one(_BEARER, hash=token_hash)


async def grants(reader: Reader, number: int) -> tuple[tuple[int, int], ...]:
    """Return (channel id, level) of what a resource token reaches."""
    return tuple((channel_id, level) for channel_id, level in await reader.fetch_all(_GRANTS, token_id=number))


async def shown_grants(
    reader: Reader, numbers: Collection[int], viewer: Mapping[str, Any]
) -> list[tuple[int, str, int]]:
    """Return (number, path, level) of what resource tokens reach, of the channels the viewer may see."""
    return [(row[0], row[1], row[2]) for row in await reader.fetch_all(_SHOWN_GRANTS, numbers=list(numbers), **viewer)]


def _token(row: Row) -> Token:
    number, uuid, account_id, kind, name, scopes, created_at, expires_at, description, metadata, used_at, address = row
    return Token(
        number, uuid, account_id, kind, name, decode_scopes(scopes), created_at, expires_at, description,
        msgspec.json.decode(metadata), used_at, address,
    )  # fmt: skip
