"""What single downloads have in common, once each: what clients call themselves, and what was known of a file.

The number of a row comes from its text, so that nobody has to look it up before writing it down. `last_day` is when a
download last needed a row, so that it goes with the last of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from packhouse.catalog.judgement_tables import finding, vulnerability
from packhouse.catalog.schema import agent, cve_set
from packhouse.core.db import Unit, any_of
from packhouse.core.db.base import Reader

#: a version of a package: family, name, version
Version = tuple[str, str, str]

_PUT_AGENT = """INSERT INTO agent (id, hash, agent, tokens, last_day) VALUES (:id, :hash, :agent, :tokens, :day)
 ON CONFLICT (id) DO UPDATE SET last_day = excluded.last_day WHERE agent.last_day < excluded.last_day"""
_PUT_SET = """INSERT INTO cve_set (id, hash, cves, last_day) VALUES (:id, :hash, :cves, :day)
 ON CONFLICT (id) DO UPDATE SET last_day = excluded.last_day WHERE cve_set.last_day < excluded.last_day"""
_FORGET = (
    "DELETE FROM agent WHERE id IN (SELECT id FROM agent WHERE last_day < :day ORDER BY id LIMIT :limit)",
    "DELETE FROM cve_set WHERE id IN (SELECT id FROM cve_set WHERE last_day < :day ORDER BY id LIMIT :limit)",
)
_AGENTS = select(agent.c.id, agent.c.agent, agent.c.tokens).where(any_of(agent.c.id, "ids"))
_SETS = select(cve_set.c.id, cve_set.c.cves).where(any_of(cve_set.c.id, "ids"))
# Versions are compared, not looked up: the key would be asked for every name with every version.
_FOUND = (
    select(finding.c.name, finding.c.version, vulnerability.c.key)
    .join_from(finding, vulnerability, vulnerability.c.id == finding.c.vulnerability_id)
    .where(
        finding.c.family == bindparam("family"),
        any_of(finding.c.name, "names"),
        any_of(finding.c.version.concat(""), "versions"),
    )
)


def number_of(text: str) -> int:
    """Return the number of a text: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


async def put_agents(unit: Unit, agents: Mapping[str, Mapping[str, str]], day: int) -> None:
    """Write down what clients called themselves on a day, with the tokens in it by kind."""
    rows = [
        {**_named(text), "agent": text, "tokens": msgspec.json.encode(tokens).decode(), "day": day}
        for text, tokens in agents.items()
    ]
    await unit.execute_many(_PUT_AGENT, sorted(rows, key=_id))


async def put_sets(unit: Unit, sets: Iterable[tuple[str, ...]], day: int) -> dict[tuple[str, ...], int | None]:
    """Write down sets of vulnerabilities that downloads of a day need; return their numbers, None for the empty one."""
    texts = {some: msgspec.json.encode(some).decode() for some in sets if some}
    rows = [{**_named(text), "cves": text, "day": day} for text in texts.values()]
    await unit.execute_many(_PUT_SET, sorted(rows, key=_id))
    return {(): None, **{some: number_of(text) for some, text in texts.items()}}


async def known_of(unit: Unit, versions: Collection[Version]) -> dict[Version, tuple[str, ...]]:
    """Return what vulnerabilities are known of versions of packages now, by key, in order; only of which any are."""
    found: dict[Version, set[str]] = {}
    for family in {one[0] for one in versions}:
        of = [one for one in versions if one[0] == family]
        asked = {"names": list({one[1] for one in of}), "versions": list({one[2] for one in of})}
        for name, version, key in await unit.fetch_all(_FOUND, family=family, **asked):
            found.setdefault((family, name, version), set()).add(key)
    return {one: tuple(sorted(keys)) for one, keys in found.items()}


async def agents(reader: Reader, ids: Collection[int]) -> dict[int, tuple[str, dict[str, str]]]:
    """Return what clients with these numbers called themselves, and the tokens in it."""
    rows = await reader.fetch_all(_AGENTS, ids=list(ids))
    return {number: (text, msgspec.json.decode(tokens)) for number, text, tokens in rows}


async def sets(reader: Reader, ids: Collection[int]) -> dict[int, list[str]]:
    """Return the sets of vulnerabilities with these numbers."""
    return {number: msgspec.json.decode(text) for number, text in await reader.fetch_all(_SETS, ids=list(ids))}


async def forget_before(unit: Unit, day: int, limit: int = 2000) -> int:
    """Forget at most `limit` of either that no download since a day needs; return how many."""
    return sum([await unit.execute(statement, day=day, limit=limit) for statement in _FORGET])


def _named(text: str) -> dict[str, Any]:
    return {"id": number_of(text), "hash": hashlib.sha256(text.encode()).digest()}


def _id(row: Mapping[str, Any]) -> int:
    return int(row["id"])
