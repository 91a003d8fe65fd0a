"""Which files rulesets can hide at all, by what rules say that they hide only (`Rule.hides_only`).

So nobody looks at a million files that pass anyhow. All here is a superset: `decide` has the last word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import compress
from typing import NamedTuple

from packhouse.catalog.policies import reservations
from packhouse.catalog.policies import suspects as queries
from packhouse.catalog.vulnerabilities import statements
from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.reserved import Reserved
from packhouse.security.policies.rule import Fact
from packhouse.security.policies.rules.legacy import LegacyTwins
from packhouse.security.policies.rules.reserved_name import ReservedName
from packhouse.workflows.judging import store
from packhouse.workflows.judging.knowing import Knowledge
from packhouse.workflows.judging.store import FileRow


class Suspected(NamedTuple):
    """Packages with files that a ruleset may hide."""

    names: set[str]
    apart: set[str]  #: packages, of these or others, of which files of one version may differ, or are hidden already


async def suspects(
    reader: Reader, family: str, names: Collection[str], rulesets: Collection[int], policies: Iterable[Policy]
) -> list[FileRow]:
    """Return the files of packages, wherever they are shown, that rules about files alone can hide, or hide now."""
    facts = _facts(policies)
    if facts is None:
        return await store.of_names(reader, family, names)
    ids = await queries.record_ids(reader, family, names, rulesets, facts)
    return await store.of_records(reader, family, ids) if ids else []


async def suspects_in(
    reader: Reader, channel_ids: Collection[int], family: str, names: Collection[str], ruleset_id: int, policy: Policy
) -> list[FileRow]:
    """Return the same of the files that some channels show, by one ruleset."""
    facts = _facts([policy])
    ids = None if facts is None else await queries.record_ids(reader, family, names, [ruleset_id], facts)
    return await store.in_channels(reader, channel_ids, family, names, ids)


def split(
    rows: Sequence[FileRow], knowledge: Knowledge, policies: Iterable[Policy]
) -> tuple[Sequence[FileRow], Sequence[FileRow]]:
    """Return the files that rules about files alone can hide, by what is known of them, and the others."""
    if _facts(policies) is None:
        return rows, ()
    found, held_back = knowledge.found, knowledge.quarantined
    if not found and not held_back:
        return (), rows
    which = [(row.name, row.version) in found or row.sha256 in held_back for row in rows]
    return [*compress(rows, which)], [row for row, can in zip(rows, which, strict=True) if not can]


async def suspected_names(db: Database, family: str, ruleset_id: int, policy: Policy) -> Suspected | None:
    """Return the packages that may have files which a policy's rules about files alone can hide, or hide now.

    None: any may have.
    """
    facts = _facts([policy])
    if facts is None:
        return None
    by_fact = {fact: await queries.names_with(db, family, fact) for fact in facts}
    hidden = await queries.hidden_names(db, ruleset_id)
    said = await queries.built_names(db) | await statements.names(db, family)
    apart = hidden | by_fact.get("quarantine", set()) | said
    return Suspected(hidden.union(*by_fact.values()), apart)


async def names_with_reasons(
    db: Database, channel_id: int, family: str, ruleset_id: int, policy: Policy
) -> set[str] | None:
    """Return the packages of a channel of which it can have, or has, reasons of its own; None: any may have."""
    if _asks_all(family, policy) or (policy.has(ReservedName) and await reservations.in_channel(db, channel_id)):
        return None
    return await queries.names_with_reasons(
        db, channel_id, family, ruleset_id, twins=policy.has(LegacyTwins), own=policy.has(ReservedName)
    )


async def with_reasons(
    reader: Reader,
    channel_id: int,
    ruleset_id: int,
    policy: Policy,
    family: str,
    names: Collection[str],
    arrived: Collection[int] | None,
    reserved: Reserved,
) -> set[str]:
    """Return those of the packages of which a channel can have, or has, reasons of its own, but for waivers.

    `arrived`: the records in question, where nothing else changed; None: any file of the packages.
    """
    if _asks_all(family, policy) or reserved.patterns:
        return set(names)
    twins, own = policy.has(LegacyTwins), policy.has(ReservedName) and bool(reserved)
    if arrived is None:
        return await queries.with_reasons(reader, channel_id, ruleset_id, names, twins=twins, own=own)
    return await queries.arrived_with_reasons(reader, channel_id, ruleset_id, arrived, names, twins=twins, own=own)


def _asks_all(family: str, policy: Policy) -> bool:
    """Say whether a rule that needs the channel can hide any file, whatever its package."""
    rules = policy.part("channel").rules
    return any(rule.applies(family) and not isinstance(rule, (LegacyTwins, ReservedName)) for rule in rules)


def _facts(policies: Iterable[Policy]) -> frozenset[Fact] | None:
    """Return what files must have before the rules about files alone can hide them; None: any file may be hidden."""
    found: frozenset[Fact] = frozenset()
    for policy in policies:
        facts = policy.part("file").hides_only
        if facts is None:
            return None
        found |= facts
    return found - {"malware"} if "finding" in found else found  # which is a finding, too
