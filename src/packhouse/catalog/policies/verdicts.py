"""Queries of verdicts: which (record, content) a ruleset hides, and what a channel says otherwise.

A *pair* is (record id, content id), 0 standing for bytes nobody fetched yet. Whoever judges a pair replaces all that
was said of it, since ids may be given again (SQLite). Only `hide_versions` adds without a look at what is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, Text, bindparam, delete, exists, func, select, union
from sqlalchemy.dialects.postgresql import insert as upsert

from packhouse.catalog.judgement_tables import ruleset, verdict
from packhouse.catalog.schema import channel, content, entry, record
from packhouse.core.db import Unit, any_found, any_of
from packhouse.core.db.base import Reader

#: the ruleset of channels without a policy
NO_POLICY = 0

Pair = tuple[int, int]


class Verdict(NamedTuple):
    """Why a ruleset hides a pair. `since` is in microseconds."""

    ruleset_id: int
    record_id: int
    content_id: int
    rule: str
    since: int


_IN_USE = union(
    select(channel.c.ruleset_id).where(channel.c.path.is_not(None)),
    select(channel.c.next_ruleset_id).where(channel.c.path.is_not(None), channel.c.next_ruleset_id.is_not(None)),
)
_RULES = select(ruleset.c.id, ruleset.c.rules).where(any_of(ruleset.c.id, "ids"))
_OF_RECORDS = select(*(verdict.c[name] for name in Verdict._fields)).where(
    any_of(verdict.c.record_id, "ids"), any_of(verdict.c.ruleset_id, "rulesets")
)
_FORGET = delete(verdict).where(
    verdict.c.record_id == bindparam("record"),
    verdict.c.content_id == bindparam("content"),
    verdict.c.ruleset_id == bindparam("ruleset"),
)
_PUT = """INSERT INTO verdict (ruleset_id, record_id, content_id, rule, since)
 VALUES (:ruleset_id, :record_id, :content_id, :rule, :since)
 ON CONFLICT (record_id, content_id, ruleset_id) DO UPDATE SET rule = excluded.rule, since = excluded.since"""
_RECORDS_OF_VERSIONS = select(record.c.id).where(
    record.c.name == bindparam("name"), any_of(record.c.version, "versions")
)
# What the builder says of single files nobody asks here. A file that two channels have comes twice, and is put once.
_FILES_OF_VERSIONS = select(
    entry.c.record_id,
    func.coalesce(entry.c.content_id, 0),
    bindparam("ruleset_id", type_=Integer),
    bindparam("rule", type_=Text),
    bindparam("since", type_=BigInteger),
).where(
    any_found(entry.c.record_id, _RECORDS_OF_VERSIONS),
    entry.c.family.concat("") == bindparam("family"),
    any_of(entry.c.channel_id.op("+")(0), "channels"),
    ~exists().where(content.c.id == entry.c.content_id, content.c.judged_by_builder),
)
_HIDE_VERSIONS = (
    upsert(verdict)
    .from_select(["record_id", "content_id", "ruleset_id", "rule", "since"], _FILES_OF_VERSIONS)
    .on_conflict_do_nothing(index_elements=["record_id", "content_id", "ruleset_id"])
)


async def rulesets_in_use(reader: Reader) -> set[int]:
    """Return the rulesets whose verdicts hold in a channel, or are about to."""
    return {NO_POLICY} | {int(row[0]) for row in await reader.fetch_all(_IN_USE)}


async def rules_of(reader: Reader, rulesets: Collection[int]) -> dict[int, str]:
    """Return number → rules (JSON) of rulesets."""
    return {row[0]: row[1] for row in await reader.fetch_all(_RULES, ids=sorted(rulesets))}


async def of_records(reader: Reader, record_ids: Collection[int], rulesets: Collection[int]) -> list[Verdict]:
    """Return what rulesets say against pairs of these records."""
    if not record_ids or not rulesets:
        return []
    rows = await reader.fetch_all(_OF_RECORDS, ids=list(record_ids), rulesets=list(rulesets))
    return list(map(Verdict._make, rows))


async def replace(unit: Unit, gone: Iterable[tuple[int, Pair]], new: Sequence[Verdict]) -> None:
    """Forget verdicts, given as (ruleset, pair), and write others."""
    await unit.execute_many(
        _FORGET, [{"ruleset": number, "record": pair[0], "content": pair[1]} for number, pair in gone]
    )
    await unit.execute_many(_PUT, [one._asdict() for one in new])


async def hide_versions(
    unit: Unit,
    channel_ids: Collection[int],
    family: str,
    ruleset_id: int,
    hidden: Mapping[tuple[str, str], Sequence[str]],
) -> None:
    """Let a ruleset hide the files that channels have of versions, given by name and rule.

    But for those of which the builder says something. What is hidden already stays so, by the rule it was: whoever
    calls this leaves aside the packages of which the ruleset hid anything before it was asked for (`Suspected.apart`).
    What it hides since then was judged by what holds now.
    """
    same = {"channels": list(channel_ids), "family": family, "ruleset_id": ruleset_id, "since": unit.now}
    await unit.execute_many(
        _HIDE_VERSIONS,
        [{"name": name, "rule": rule, "versions": versions, **same} for (name, rule), versions in hidden.items()],
    )
