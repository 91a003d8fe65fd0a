"""What is known of vulnerabilities, written as feeds and judgement write it, for tests of those who read it."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.catalog.vulnerabilities import advisories, feeds, findings, records, statements
from packhouse.catalog.vulnerabilities.advisories import Staged
from packhouse.catalog.vulnerabilities.feeds import Spec
from packhouse.catalog.vulnerabilities.findings import Found
from packhouse.catalog.vulnerabilities.records import VulnerabilityRow
from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.clock import from_iso
from packhouse.core.db import Database, Unit
from packhouse.security.vulnerabilities.advisory import Vector
from packhouse.security.vulnerabilities.merging import Body
from packhouse.workflows.judging import store


def rated(score: int | None, vectors: tuple[Vector, ...] = ()) -> tuple[Vector, ...]:
    """Return ratings: these, or one of CVSS 3.1 with a score in tenths."""
    if vectors or score is None:
        return vectors
    return (Vector("3.1", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", score),)


async def know(db: Database, key: str, score: int | None = 98, **more: Any) -> int:
    """Let feeds say something of a vulnerability and return its number. Times are given as ISO texts."""
    body = Body(
        more.get("description", f"All about {key}"),
        rated(score, more.get("vectors", ())),
        ("https://example.org/a",),
        tuple(more.get("aliases", ())),
        ("ours",),
    )
    times = {name: from_iso(more[name]) if name in more else None for name in ("published", "modified", "withdrawn")}
    row = VulnerabilityRow(
        key,
        more.get("kind", "vulnerability"),
        score,
        more.get("exploited", False),
        times["published"],
        times["modified"],
        times["withdrawn"],
        more.get("summary", f"About {key}"),
        msgspec.msgpack.encode(body),
    )
    await db.write(lambda unit: records.put(unit, [row]))
    return int(await db.fetch_value("SELECT id FROM vulnerability WHERE key = :key", key=key))


async def found(
    db: Database, number: int, name: str, *versions: str, fixed_in: str = "", family: str = "conda"
) -> None:
    """Let a vulnerability affect versions of a package."""
    rows = [Found(family, name, version, number, 1, fixed_in, f"PyPI/{name} <{fixed_in}") for version in versions]

    async def work(unit: Unit) -> None:
        before = [one for one in await findings.of_names(unit, family, [name]) if one.vulnerability_id == number]
        await findings.replace(unit, before, rows)

    await db.write(work)


async def say(db: Database, key: str, name: str, status: str, spec: str = "", **more: Any) -> None:
    """Let somebody say something of a vulnerability in files of a package."""
    sha256, origin = more.get("sha256", ""), more.get("origin", "user")
    at = from_iso(more.get("at", "2026-01-02"))
    row = StatementRow(0, key, "conda", name, spec, sha256, status, more.get("note", ""), "ann", origin, at)

    async def work(unit: Unit) -> None:
        await statements.put(unit, [row])
        await unit.execute("UPDATE vulnerability SET curated_at = :at WHERE key = :key", at=at, key=key)

    await db.write(work)


async def cover(db: Database, *ecosystems: str) -> None:
    """Let a feed have been read that says something of some package of these ecosystems."""

    async def work(unit: Unit) -> None:
        one = await feeds.add(unit, Spec("ours", "file:///nowhere", enabled=False), None)
        await feeds.set_taken(unit, one.id, 1, None, None, None)
        names = [(ecosystem, "something") for ecosystem in ecosystems]
        await advisories.stage(unit, one.id, 1, [Staged("X-1", b"", b"", names, ["X-1"])])
        await store.set_covered(unit, ecosystems)

    await db.write(work)
