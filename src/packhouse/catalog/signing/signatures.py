"""Queries of the signatures of records that were found true."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import bindparam, delete, insert, select

from packhouse.catalog import changes
from packhouse.catalog.judgement_tables import unjudged
from packhouse.catalog.signing.tables import record_signature, signed_name, trusted_key
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader

_ADD = """INSERT INTO record_signature (record_id, key) VALUES (:record_id, :key)
 ON CONFLICT (record_id, key) DO NOTHING"""
_ADD_NAME = """INSERT INTO signed_name (key, family, name) VALUES (:key, :family, :name)
 ON CONFLICT (key, family, name) DO NOTHING"""
_VERIFIED = (
    select(record_signature.c.record_id)
    .distinct()
    .join_from(record_signature, trusted_key, trusted_key.c.key == record_signature.c.key)
    .where(any_of(record_signature.c.record_id, "ids"))
)
_UNJUDGE = insert(unjudged).from_select(
    ["family", "name"],
    select(signed_name.c.family, signed_name.c.name).where(signed_name.c.key == bindparam("key")),
)
_DROP = delete(record_signature).where(any_of(record_signature.c.record_id, "ids"))


async def verified(reader: Reader, record_ids: Collection[int]) -> set[int]:
    """Return those of the records that a key trusted now truly signed."""
    if not record_ids:
        return set()
    return {row[0] for row in await reader.fetch_all(_VERIFIED, ids=list(record_ids))}


async def add(unit: Unit, family: str, rows: Iterable[tuple[int, str, str]]) -> None:
    """Write down that keys truly signed records: (record, its name, public key in hexadecimal)."""
    found = [(record_id, name, bytes.fromhex(key)) for record_id, name, key in rows]
    if not found:
        return
    await unit.execute_many(_ADD, [{"record_id": record_id, "key": key} for record_id, _, key in found])
    names = sorted({(key, name) for _, name, key in found})
    await unit.execute_many(_ADD_NAME, [{"key": key, "family": family, "name": name} for key, name in names])


async def leave_unjudged(unit: Unit, key: bytes) -> None:
    """Let everything be judged again of which a key ever signed a record."""
    await unit.execute(_UNJUDGE, key=key)
    await changes.note(unit, "judgement")


async def drop(unit: Unit, record_ids: Collection[int]) -> None:
    """Forget the signatures of records that are removed."""
    await unit.execute(_DROP, ids=list(record_ids))
