"""What is known of packages and their files: findings, what was said of them, quarantine, true signatures."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from packhouse.catalog.signing import signatures
from packhouse.catalog.vulnerabilities import findings, statements
from packhouse.catalog.vulnerabilities.findings import Found
from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.security.policies.batch import NOWHEN
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.findings import UNSCORED, Known
from packhouse.security.policies.rule import Lookup
from packhouse.security.vulnerabilities.aliases import is_mapped
from packhouse.security.vulnerabilities.merging import Body
from packhouse.security.vulnerabilities.statements import Statement
from packhouse.workflows.judging import store
from packhouse.workflows.judging.columns import Files
from packhouse.workflows.judging.learning import NOTHING_OFFERED, Origins, look_up, upstream_of
from packhouse.workflows.judging.sayings import Built, said_of
from packhouse.workflows.judging.store import FileRow

#: packages, and records, of a channel that are looked up together
NAMES = 500
RECORDS = 5000
#: of so many versions each is looked up by itself: a package may have thousands of them
FEW = 50
#: bodies of which the aliases are kept decoded
_KEPT = 20_000
_body = msgspec.msgpack.Decoder(Body).decode


class Knowledge(msgspec.Struct):
    """All that rules may ask of some files of a family, besides the files themselves."""

    family: str
    found: dict[tuple[str, str], list[Known]]  #: name and version → what affects it
    statements: dict[str, list[Statement]]  #: by name, where anybody said anything
    mapped: set[str]  #: names known to advisories; of others vulnerabilities are unknown
    quarantined: set[bytes]  #: SHA-256
    signed: set[int]  #: records truly signed by a key that is trusted

    def add(self, other: Knowledge) -> None:
        """Add what is known of other packages of the family."""
        self.found |= other.found
        self.statements |= other.statements
        self.mapped |= other.mapped
        self.quarantined |= other.quarantined
        self.signed |= other.signed


class _BuiltFile(NamedTuple):
    """A file of a channel in which whoever built it says something of vulnerabilities."""

    name: str
    content_id: int
    sha256: bytes
    timestamp: int | None
    judged_by_builder: bool = True


async def recall(
    reader: Reader, family: str, rows: Sequence[FileRow], policies: Sequence[Policy] | None = None
) -> Knowledge:
    """Return what is known of files of a family; with `policies`, only what their rules ask."""
    names = sorted({row.name for row in rows})
    versions = {row.version for row in rows}
    few = len(versions) <= FEW
    found = findings.of_versions(reader, family, names, versions) if few else findings.of_names(reader, family, names)
    records = {row.record_id for row in rows} if _ask(policies, "signatures") else ()
    return await _known(reader, family, names, await found, rows, records, policies=policies)


async def recall_channel(db: Database, files: Files, policies: Sequence[Policy]) -> Knowledge:
    """Return the same of a whole channel, in parts, so that others are served between."""
    whole = Knowledge(files.family, {}, {}, set(), set(), set())
    built = _built(files)
    for start in range(0, len(files.name.values), NAMES):
        names = files.name.values[start : start + NAMES]
        said = [one for name in names for one in built.get(name, ())]
        about = await findings.of_names(db, files.family, names)
        whole.add(await _known(db, files.family, names, about, said, policies=policies))
        await asyncio.sleep(0)  # SQLite answers without a turn of the event loop
    records = files.record_id.tolist() if _ask(policies, "signatures") else []
    for start in range(0, len(records), RECORDS):
        whole.signed |= await signatures.verified(db, records[start : start + RECORDS])
        await asyncio.sleep(0)
    return whole


def _built(files: Files) -> dict[str, list[_BuiltFile]]:
    """Return by package the files of which the builder says something; they are few."""
    found: defaultdict[str, list[_BuiltFile]] = defaultdict(list)
    for row in np.flatnonzero(files.judged_by_builder).tolist():
        at = int(files.published_at[row])
        one = _BuiltFile(files.name[row], files.pair(row)[1], files.digest(row), None if at == NOWHEN else at)
        found[one.name].append(one)
    return found


async def foresee(reader: Reader, family: str, versions: Mapping[str, Collection[str]], origins: Origins) -> Knowledge:
    """Return what is known of versions of packages of which nobody here need have a file; nothing is written.

    `origins`: what their records say of where they come from. What only bytes say is not known: the builder's
    statements, and the names of what is inside.
    """
    found = await look_up(reader, family, versions, origins)
    return await _known(reader, family, sorted(versions), found, origins=origins)


async def _known(
    reader: Reader,
    family: str,
    names: Collection[str],
    about: Sequence[Found],
    built: Sequence[Built] = (),
    records: Collection[int] = (),
    origins: Origins = NOTHING_OFFERED,
    policies: Sequence[Policy] | None = None,
) -> Knowledge:
    found = await _found(reader, about)
    said = await said_of(reader, family, names, built) if found else {}
    mapped = await _mapped(reader, family, names, origins) if _ask(policies, "aliases") else set()
    held_back = await statements.held_back(reader)
    return Knowledge(family, found, said, mapped, held_back, await signatures.verified(reader, records))


def _ask(policies: Sequence[Policy] | None, what: Lookup) -> bool:
    return policies is None or any(what in policy.looks_up for policy in policies)


async def _mapped(reader: Reader, family: str, names: Collection[str], origins: Origins) -> set[str]:
    covered = await store.covered(reader)
    upstream = await upstream_of(reader, family, names, origins) if covered else {}
    return {name for name, aliases in upstream.items() if is_mapped(aliases, covered)}


async def _found(reader: Reader, rows: Sequence[Found]) -> dict[tuple[str, str], list[Known]]:
    known = await findings.vulnerabilities(reader, {row.vulnerability_id for row in rows})
    read = {
        number: Known(
            one.key,
            UNSCORED if one.score is None else one.score,
            one.kind,  # type: ignore[arg-type]  # written by us
            one.exploited,
            _aliases(bytes(one.body)),
        )
        for number, one in known.items()
    }
    found: defaultdict[tuple[str, str], list[Known]] = defaultdict(list)
    for row in rows:
        if row.vulnerability_id in read:  # else no feed says it any more, and the name waits to be judged
            found[row.name, row.version].append(read[row.vulnerability_id])
    return dict(found)


@lru_cache(maxsize=_KEPT)
def _aliases(body: bytes) -> tuple[str, ...]:
    return tuple(_body(body).aliases)
