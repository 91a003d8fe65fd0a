"""Queries of statements, somebody's judgement of a vulnerability in files, and of quarantine: bytes held back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select

from packhouse.catalog.judgement_tables import quarantine, statement
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class StatementRow(NamedTuple):
    """A row of `statement`; see security.vulnerabilities.statements. `at` is in microseconds."""

    id: int
    key: str
    family: str
    name: str
    spec: str
    sha256: str
    status: str
    note: str
    author: str
    origin: str
    at: int


class Quarantined(NamedTuple):
    """Bytes that somebody holds back. `at` is in microseconds.

    Family, name and filename are what they were known by then, for people; empty where nobody knew, or not only one.
    """

    sha256: bytes
    family: str
    name: str
    filename: str
    reason: str
    by: str
    at: int


_COLUMNS = tuple(statement.c[name] for name in StatementRow._fields)
_OF_NAMES = select(*_COLUMNS).where(statement.c.family == bindparam("family"), any_of(statement.c.name, "names"))
_NAMES = select(statement.c.name).distinct().where(statement.c.family == bindparam("family"))
_OF_KEYS = select(*_COLUMNS).where(any_of(statement.c.key, "keys")).order_by(statement.c.id)
_PUT = """INSERT INTO statement (key, family, name, spec, sha256, status, note, author, origin, at)
 VALUES (:key, :family, :name, :spec, :sha256, :status, :note, :author, :origin, :at)
 ON CONFLICT (family, name, key, spec, sha256, origin) DO UPDATE SET status = excluded.status, note = excluded.note,
 author = excluded.author, at = excluded.at"""
_DROP = delete(statement).where(any_of(statement.c.id, "ids"))
_HELD_BACK = select(quarantine.c.sha256)
_HOLD_BACK = """INSERT INTO quarantine (sha256, family, name, filename, reason, "by", at)
 VALUES (:sha256, :family, :name, :filename, :reason, :by, :at) ON CONFLICT (sha256) DO NOTHING"""
_LET_GO = delete(quarantine).where(quarantine.c.sha256 == bindparam("sha256_"))


async def of_names(reader: Reader, family: str, names: Collection[str]) -> list[StatementRow]:
    """Return the statements about packages of a family."""
    return [StatementRow(*row) for row in await reader.fetch_all(_OF_NAMES, family=family, names=list(names))]


async def names(reader: Reader, family: str) -> set[str]:
    """Return the packages of a family about which anything is stated."""
    return {row[0] for row in await reader.fetch_all(_NAMES, family=family)}


async def of_keys(reader: Reader, keys: Collection[str]) -> list[StatementRow]:
    """Return the statements about vulnerabilities, oldest first."""
    return [StatementRow(*row) for row in await reader.fetch_all(_OF_KEYS, keys=list(keys))]


async def put(unit: Unit, rows: Sequence[StatementRow]) -> None:
    """Keep statements; one of the same origin about the same files and vulnerability takes the place of the former."""
    await unit.execute_many(_PUT, [one._asdict() for one in rows])


async def drop(unit: Unit, ids: Sequence[int]) -> int:
    """Take statements back; return how many there were."""
    return await unit.execute(_DROP, ids=list(ids))


async def held_back(reader: Reader) -> set[bytes]:
    """Return the SHA-256 of all that is in quarantine, which people fill by hand: any package may have these bytes."""
    return {bytes(row[0]) for row in await reader.fetch_all(_HELD_BACK)}


async def hold_back(unit: Unit, one: Quarantined) -> bool:
    """Put bytes into quarantine; False when they are there."""
    return bool(await unit.execute(_HOLD_BACK, **one._asdict()))


async def let_go(unit: Unit, sha256: bytes) -> bool:
    """Take bytes out of quarantine; False when they are not there."""
    return bool(await unit.execute(_LET_GO, sha256_=sha256))
