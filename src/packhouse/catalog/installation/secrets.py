"""What an installation keeps of itself, by name: secrets, and marks of what was done once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from packhouse.catalog.people_tables import secret
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader

_SECRETS = select(secret.c.name, secret.c.value).where(any_of(secret.c.name, "names"))
_CHANGE = "UPDATE secret SET value = :value WHERE name = :name AND value = :before"
_KEEP = "INSERT INTO secret (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"


async def named(reader: Reader, names: Sequence[str]) -> dict[str, bytes]:
    """Return those of the named secrets that exist."""
    return {name: bytes(value) for name, value in await reader.fetch_all(_SECRETS, names=list(names))}


async def add(unit: Unit, name: str, value: bytes) -> bool:
    """Keep a secret if there is none of that name; return whether it was kept."""
    return await unit.execute(_KEEP, name=name, value=value) == 1


async def change(unit: Unit, name: str, before: bytes, value: bytes) -> bool:
    """Keep a secret otherwise unless another process has meanwhile; return whether it was changed."""
    return await unit.execute(_CHANGE, name=name, before=before, value=value) == 1
