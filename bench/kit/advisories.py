"""Advisories about the packages of `make_channel`, as OSV publishes them: the more popular a name, the more of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.make_channel import Name, plan
from packhouse.catalog.vulnerabilities import aliases
from packhouse.catalog.vulnerabilities.aliases import AliasRow
from packhouse.core.db import Unit
from packhouse.security.vulnerabilities.aliases import normalised
from packhouse.workflows.services import Services

#: severities, the worst one first, with their CVSS 3.1 base scores, and how often each is met
WORST = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
VECTORS = {
    WORST: 20,  # 9.8
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N": 35,  # 7.5
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N": 25,  # 6.1
    "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N": 20,  # 2.5
}
#: versions that an advisory affects, at most; so that in a million files there are about 300,000 pairs with one
AFFECTED = 16
ALIASES_AT_A_TIME = 2000


def about_python(names: list[Name]) -> list[Name]:
    """Return the packages that are Python distributions, as everything in the channel that depends on Python is."""
    return [name for name in names if name.kind in ("pure", "compiled") and name.versions]


def osv(number: int, name: Name, rng: random.Random, vector: str = "") -> dict[str, Any]:
    """Return one record: a range of versions that ends with a fixed one, if there is any."""
    fixed = rng.randrange(name.versions) + 1
    first = max(0, fixed - 1 - rng.randrange(AFFECTED))
    events = [{"introduced": name.version(first) if first else "0"}]
    if fixed < name.versions:
        events.append({"fixed": name.version(fixed)})
    package = {"ecosystem": "PyPI", "name": normalised("PyPI", name.name)}
    return {
        "id": f"PYSEC-2024-{number}",
        "aliases": [f"CVE-2024-{number:05}"],
        "modified": "2024-03-01T00:00:00Z",
        "published": "2024-02-01T00:00:00Z",
        "summary": f"Synthetic vulnerability {number}",
        "details": f"Something may go wrong in {name.name}. " * 10,
        "severity": [{"type": "CVSS_V3", "score": vector or rng.choices(list(VECTORS), list(VECTORS.values()))[0]}],
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }


def advisories(records: int, count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield `count` records about names of a channel that `fill` made with `records` files."""
    rng = random.Random(seed)
    names = about_python(plan(records, seed))
    weights = [1 / (name.rank + 20) for name in names]
    for number, name in enumerate(rng.choices(names, weights, k=count)):
        yield osv(number, name, rng)


def write_advisories(out: Path, records: int, count: int, seed: int = 0) -> None:
    """Write advisories as JSON lines."""
    with out.open("wb") as file:
        for one in advisories(records, count, seed):
            file.write(msgspec.json.encode(one) + b"\n")


async def tie_names(services: Services, records: int, seed: int = 0) -> None:
    """Keep what the files of such a channel say of their names in PyPI, as uploads of them would have."""
    names = about_python(plan(records, seed))
    for start in range(0, len(names), ALIASES_AT_A_TIME):
        part = names[start : start + ALIASES_AT_A_TIME]
        await services.db.write(lambda unit, part=part: _tie(unit, part))  # type: ignore[misc]  # its type is that of _tie


async def _tie(unit: Unit, names: list[Name]) -> None:
    rows = [
        AliasRow("conda", one.name, "PyPI", normalised("PyPI", one.name), "convention", False, "", unit.now)
        for one in names
    ]
    await aliases.put(unit, rows)
