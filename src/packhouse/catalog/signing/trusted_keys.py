"""Queries of the public keys that an administrator trusts."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, or_, select

from packhouse.catalog.signing.tables import signed_name, trusted_key
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader


class TrustedKey(NamedTuple):
    """A key that is trusted. `at` is in microseconds."""

    key: bytes  #: Ed25519, 32 bytes
    name: str
    by: str
    at: int


_COLUMNS = tuple(trusted_key.c[name] for name in TrustedKey._fields)
_NAMES = select(func.count()).where(signed_name.c.key == trusted_key.c.key).scalar_subquery()
_ALL = select(*_COLUMNS, _NAMES).order_by(trusted_key.c.name)
_LIKE = select(*_COLUMNS).where(or_(trusted_key.c.key == bindparam("key"), trusted_key.c.name == bindparam("name")))
_ADD = insert(trusted_key).values({name: bindparam(f"new_{name}") for name in TrustedKey._fields})
_DROP = delete(trusted_key).where(trusted_key.c.key == bindparam("old_key")).returning(trusted_key.c.name)


async def every(reader: Reader) -> list[tuple[TrustedKey, int]]:
    """Return the trusted keys by name, each with the number of package names of which it signed a record."""
    return [(TrustedKey(bytes(row[0]), *row[1:-1]), row[-1]) for row in await reader.fetch_all(_ALL)]


async def like(reader: Reader, key: bytes, name: str) -> list[TrustedKey]:
    """Return the trusted keys that are this key or bear this name."""
    return [TrustedKey(bytes(row[0]), *row[1:]) for row in await reader.fetch_all(_LIKE, key=key, name=name)]


async def add(unit: Unit, one: TrustedKey) -> None:
    """Trust a key; neither it nor its name is there."""
    await unit.execute(_ADD, **{f"new_{name}": value for name, value in one._asdict().items()})


async def drop(unit: Unit, key: bytes) -> str | None:
    """Trust a key no more; return the name it had, None when it was not trusted."""
    found: str | None = await unit.fetch_value(_DROP, old_key=key)
    return found
