"""Queries of vulnerabilities: what all feeds together say of one, derived from their advisories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select

from packhouse.catalog.judgement_tables import finding, statement, vulnerability
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader


class VulnerabilityRow(NamedTuple):
    """A row of `vulnerability` without its number; see judgement_tables. Times are microseconds."""

    key: str
    kind: str
    score: int | None
    exploited: bool
    published_at: int | None
    modified_at: int | None
    withdrawn_at: int | None
    summary: str
    body: bytes


# When somebody judged it is never set back: one who does so at this moment may not be seen yet.
_PUT = """INSERT INTO vulnerability
 (key, kind, score, exploited, published_at, modified_at, withdrawn_at, curated_at, summary, body)
 VALUES (:key, :kind, :score, :exploited, :published_at, :modified_at, :withdrawn_at, :curated_at, :summary, :body)
 ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, score = excluded.score, exploited = excluded.exploited,
 published_at = excluded.published_at, modified_at = excluded.modified_at, withdrawn_at = excluded.withdrawn_at,
 summary = excluded.summary, body = excluded.body, curated_at = CASE
 WHEN excluded.curated_at IS NULL OR vulnerability.curated_at > excluded.curated_at THEN vulnerability.curated_at
 ELSE excluded.curated_at END"""
_CURATED = (
    select(statement.c.key, func.max(statement.c.at)).where(any_of(statement.c.key, "keys")).group_by(statement.c.key)
)
_DROP = delete(vulnerability).where(any_of(vulnerability.c.key, "keys"))
_KNOWN = select(vulnerability.c.key).where(any_of(vulnerability.c.key, "keys"))
_AFFECTED = (
    select(finding.c.family, finding.c.name)
    .select_from(vulnerability.join(finding, finding.c.vulnerability_id == vulnerability.c.id))
    .where(any_of(vulnerability.c.key, "keys"))
    .distinct()
)


async def put(unit: Unit, rows: Sequence[VulnerabilityRow]) -> None:
    """Write down what vulnerabilities are now; those that are known keep their numbers."""
    curated = {row[0]: row[1] for row in await unit.fetch_all(_CURATED, keys=[one.key for one in rows])}
    await unit.execute_many(_PUT, [one._asdict() | {"curated_at": curated.get(one.key)} for one in rows])


async def drop(unit: Unit, keys: Sequence[str]) -> None:
    """Remove vulnerabilities of which no feed says anything any more."""
    await unit.execute(_DROP, keys=list(keys))


async def known(reader: Reader, keys: Sequence[str]) -> list[str]:
    """Return those of the vulnerabilities of which a feed says something."""
    return [row[0] for row in await reader.fetch_all(_KNOWN, keys=list(keys))]


async def affected(reader: Reader, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return (family, name) of the packages in which vulnerabilities were found."""
    return [(row[0], row[1]) for row in await reader.fetch_all(_AFFECTED, keys=list(keys))]
