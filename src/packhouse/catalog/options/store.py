"""Queries of the settings that are kept in the database; those of files and the environment are `core/settings`."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from packhouse.catalog import changes
from packhouse.catalog.people_tables import setting
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader

_GET = select(setting.c.value).where(setting.c.name == bindparam("name"))
_PUT = """INSERT INTO setting (name, value, updated_at) VALUES (:name, :value, :at)
 ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"""
# One that nobody ever set is held, too: its row is made, with nothing in it.
_HOLD = """INSERT INTO setting (name, value, updated_at) VALUES (:name, 'null', :at)
 ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING value"""

_encode = msgspec.json.Encoder(order="deterministic").encode


async def get(reader: Reader, name: str) -> Any:
    """Return the value of a setting; None when nobody ever set it."""
    value = await reader.fetch_value(_GET, name=name)
    return None if value is None else msgspec.json.decode(value)


async def hold(unit: Unit, name: str) -> Any:
    """Do the same for a unit that changes it: no other one does until it ends."""
    return msgspec.json.decode(await unit.fetch_value(_HOLD, name=name, at=unit.now))


async def put(unit: Unit, name: str, value: Any) -> None:
    """Set a setting, and tell every process so."""
    await unit.execute(_PUT, name=name, value=_encode(value).decode(), at=unit.now)
    await changes.note(unit, "setting", name=name)
