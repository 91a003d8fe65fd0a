"""Keeps what files say of the names their packages have elsewhere, when they arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from packhouse.catalog.packages import contents
from packhouse.catalog.vulnerabilities import aliases, unjudged
from packhouse.catalog.vulnerabilities.aliases import AliasRow
from packhouse.core.db import Unit
from packhouse.security.vulnerabilities.aliases import Origin, aliases_of, origin_of
from packhouse.workflows.judging import store
from packhouse.workflows.judging.store import FileRow

#: words in a record that say something of its origin; records of a package without other ones are read once
_TELLING = (b'"python"', b'"python ', b'"python_abi', b'"r-base')
#: what the program knows without any file
_BUILT_IN = ("itself", "map")


class _Facts(msgspec.Struct):
    sources: Any = ()
    distributions: Any = ()


_facts = msgspec.json.Decoder(_Facts).decode


async def keep_names(unit: Unit, family: str, rows: Sequence[FileRow]) -> None:
    """Keep the aliases that arriving files give evidence of. Other files of those packages are judged soon.

    Whether there are any is asked then: some may arrive at this moment, seen by nobody yet, and not see these aliases.
    """
    new = await _new(unit, family, await _told(unit, family, rows))
    if new:
        here = Counter(row.name for row in rows)
        await unjudged.add(unit, [(unjudged.NAMED + family, f"{here[name]} {name}") for name in new])


async def _told(unit: Unit, family: str, rows: Sequence[FileRow]) -> list[AliasRow]:
    bodies = await store.bodies(unit, {row.record_id for row in rows})
    held = {row.content_id for row in rows if row.content_id}
    facts = await contents.origin_facts_of(unit, sorted(held)) if held else {}
    read: set[tuple[str, ...]] = set()
    told: dict[tuple[str, str, str, str], AliasRow] = {}
    for row in rows:
        body, fact = bodies.get(row.record_id, b"{}"), facts.get(row.content_id, "")
        alike = (row.name, fact, *likeness(body), row.version if fact else "")
        if alike in read:
            continue
        read.add(alike)
        origin = _origin(body, fact)
        for one in aliases_of(family, row.name, [origin]):
            if one.provenance not in _BUILT_IN:
                key = (one.name, one.ecosystem, one.upstream, one.provenance)
                told.setdefault(key, AliasRow(family, *key, one.negative, row.filename, unit.now))
    return list(told.values())


def likeness(body: bytes) -> tuple[str, ...]:
    """Return what of a record bears on its origin: records of a package that are alike in it say the same."""
    purls = body if b'"purls"' in body else b""
    return (*(str(word in body) for word in _TELLING), purls.decode(errors="replace"))


def _origin(body: bytes, facts: str) -> Origin:
    read = _facts(facts) if facts else _Facts()
    return origin_of(msgspec.json.decode(body), {"sources": read.sources, "distributions": read.distributions})


async def _new(unit: Unit, family: str, told: Collection[AliasRow]) -> set[str]:
    """Keep what is not kept yet; return the packages of which something was new."""
    names = {one.name for one in told}
    known = {one[:5] for one in await aliases.of_names(unit, family, names)} if names else set()
    new = [one for one in told if one[:5] not in known]
    await aliases.put(unit, new)
    return {one.name for one in new}
