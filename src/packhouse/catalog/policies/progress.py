"""Queries of how far rulesets have come on their way into force. It is shown; nothing depends on it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from packhouse.catalog.judgement_tables import preparation
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader


class Progress(NamedTuple):
    """Files that are looked at before a ruleset holds, each once for its verdicts and once for a channel's reasons."""

    files: int
    done: int


_OF = select(preparation.c.files, preparation.c.done).where(preparation.c.ruleset_id == bindparam("ruleset"))
_BEGIN = """INSERT INTO preparation (ruleset_id, files, done) VALUES (:ruleset, :files, 0)
 ON CONFLICT (ruleset_id) DO UPDATE SET files = excluded.files, done = 0"""
_ADD = (
    update(preparation)
    .where(preparation.c.ruleset_id == bindparam("ruleset"))
    .values(done=preparation.c.done + bindparam("more"))
)
_END = delete(preparation).where(preparation.c.ruleset_id == bindparam("ruleset"))


async def of(reader: Reader, ruleset_id: int) -> Progress | None:
    """Return how far a ruleset has come; None while nobody has begun."""
    row = await reader.fetch_one(_OF, ruleset=ruleset_id)
    return Progress(*row) if row else None


async def begin(unit: Unit, ruleset_id: int, files: int) -> None:
    """Begin with so many files, from the start."""
    await unit.execute(_BEGIN, ruleset=ruleset_id, files=files)


async def add(unit: Unit, ruleset_id: int, files: int) -> None:
    """Count files as done."""
    await unit.execute(_ADD, ruleset=ruleset_id, more=files)


async def end(unit: Unit, ruleset_id: int) -> None:
    """Forget it: the ruleset holds, or nobody wants it any more."""
    await unit.execute(_END, ruleset=ruleset_id)
