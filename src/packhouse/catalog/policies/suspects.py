"""Queries of suspects: what a ruleset could hide at all, so that nobody looks at a million files that pass anyhow.

All here is a superset, which whoever decides looks at. What is hidden now belongs to it: it may be shown again. *Facts*
are what a file must have before some rules hide it: malware, finding, quarantine.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, bindparam, exists, func, or_, select, union

from packhouse.catalog.judgement_tables import finding, overlay, quarantine, verdict, vulnerability, waiver
from packhouse.catalog.policies import overlays
from packhouse.catalog.schema import content, entry, record
from packhouse.core.db import Database, any_of, each_of
from packhouse.core.db.base import Reader
from packhouse.formats.conda.filename import NEWER, OLDER

_OF_NAMES = any_of(record.c.name, "names")
_FINDING_OF = finding.c.family == bindparam("family")
_MALWARE = and_(vulnerability.c.id == finding.c.vulnerability_id, vulnerability.c.kind == "malware")
_OF_VERSION = and_(_FINDING_OF, finding.c.name == record.c.name, finding.c.version == record.c.version)
#: what the record alone says of each fact
_HAS: dict[str, ColumnElement[bool]] = {
    "finding": exists().where(_OF_VERSION),
    "malware": exists().where(_OF_VERSION, _MALWARE),
    "quarantine": exists().where(quarantine.c.sha256 == record.c.claimed_sha256),
}
_HIDDEN = exists().where(verdict.c.record_id == record.c.id, any_of(verdict.c.ruleset_id, "rulesets"))
_HELD_BACK = entry.c.content_id.in_(select(content.c.id).where(content.c.sha256.in_(select(quarantine.c.sha256))))
_HELD_BACK_IDS = select(record.c.id).where(_OF_NAMES, record.c.id.in_(select(entry.c.record_id).where(_HELD_BACK)))
_NAMES: dict[str, Select[Any]] = {
    "finding": select(finding.c.name).distinct().where(_FINDING_OF),
    "malware": select(finding.c.name).join_from(finding, vulnerability, _MALWARE).where(_FINDING_OF),
    "quarantine": select(entry.c.name).where(_HELD_BACK),
}
_MALWARE_AMONG = _NAMES["malware"].where(any_of(finding.c.name, "names")).limit(1)
_ANYTHING_HIDDEN = select(verdict.c.record_id).limit(1)
_QUARANTINED = select(quarantine.c.sha256).limit(1)
# no index has what records claim, but few installations have a quarantine
_CLAIMED_NAMES = select(record.c.name).distinct().where(_HAS["quarantine"])
_HIDDEN_NAMES = (
    select(record.c.name)
    .distinct()
    .join_from(
        verdict, record, and_(record.c.id == verdict.c.record_id, verdict.c.ruleset_id == bindparam("ruleset_id"))
    )
)
_BUILT_NAMES = (
    select(entry.c.name)
    .distinct()
    .where(entry.c.content_id.in_(select(content.c.id).where(content.c.judged_by_builder)))
)
_HERE = entry.c.channel_id == bindparam("channel_id")
_FAMILY = entry.c.family == bindparam("family")
_TWIN = entry.alias("twin")


def _has_twin(mine: str, other: str) -> ColumnElement[bool]:
    """An entry in one archive form beside which the same file stands in the other."""
    stem = func.substr(entry.c.filename, 1, func.length(entry.c.filename) - len(mine))
    twin = exists().where(
        _TWIN.c.channel_id == entry.c.channel_id,
        _TWIN.c.family == entry.c.family,
        _TWIN.c.partition == entry.c.partition,
        _TWIN.c.filename == stem.concat(other),
    )
    return and_(entry.c.filename.like(f"%{mine}"), twin)


_OLDER = _has_twin(OLDER, NEWER)
_COUNTED = select(entry.c.name, func.count().label("files")).where(_HERE).group_by(entry.c.name)
_OWN, _EVERY = _COUNTED.where(entry.c.uploaded).subquery(), _COUNTED.subquery()
# Names of which a channel has files that were uploaded, and others. Of all families: two indexes answer it.
_SHARED = select(_OWN.c.name).join_from(_OWN, _EVERY, and_(_EVERY.c.name == _OWN.c.name, _EVERY.c.files > _OWN.c.files))
_FILES = select(func.count()).select_from(entry).where(_HERE)
_OWN_FILES = _FILES.where(entry.c.uploaded)
_REASON = and_(overlay.c.channel_id == bindparam("channel_id"), overlay.c.ruleset_id == bindparam("ruleset_id"))
_REASONED = select(record.c.name).join_from(overlay, record, and_(record.c.id == overlay.c.record_id, _REASON))
_WAIVED = select(waiver.c.name).where(
    waiver.c.family == bindparam("family"),
    or_(waiver.c.channel_id.is_(None), waiver.c.channel_id == bindparam("channel_id")),
)
_TWINS = select(entry.c.name).where(_HERE, _FAMILY, _OLDER)
# The same of some packages. `+ 0` and `|| ''` keep a planner without statistics from an index over a whole channel.
_OF_ARRIVED = and_(any_of(entry.c.record_id, "ids"), entry.c.channel_id + 0 == bindparam("channel_id"))
_TWINS_AMONG = select(entry.c.name).where(_HERE, any_of(entry.c.name, "names"), _OLDER)
_TWINS_ARRIVED = select(entry.c.name).where(_OF_ARRIVED, or_(_OLDER, _has_twin(NEWER, OLDER)))
_EACH = each_of("names").table_valued("value")
_OF_EACH = entry.c.name == _EACH.c.value
_SHARED_AMONG = select(_EACH.c.value).where(
    _OWN_FILES.where(_OF_EACH).scalar_subquery().between(1, _FILES.where(_OF_EACH).scalar_subquery() - 1)
)
_REASONED_AMONG = select(record.c.name).where(_OF_NAMES, exists().where(overlay.c.record_id == record.c.id, _REASON))
_REASONED_ARRIVED = select(record.c.name).where(
    any_of(record.c.id, "ids"), exists().where(overlay.c.record_id == record.c.id, _REASON)
)


async def record_ids(
    reader: Reader, family: str, names: Collection[str], rulesets: Collection[int], facts: frozenset[str]
) -> list[int]:
    """Return the records of packages with files that have one of the facts, or that one of the rulesets hides."""
    asked, some = set(facts), {"family": family, "names": list(names), "rulesets": list(rulesets)}
    if "quarantine" in facts and not await reader.fetch_one(_QUARANTINED):
        asked.remove("quarantine")
    if "malware" in facts and not await reader.fetch_one(_MALWARE_AMONG, family=family, names=list(names)):
        asked.remove("malware")
    if not asked and not await reader.fetch_one(_ANYTHING_HIDDEN):
        return []
    return [row[0] for row in await reader.fetch_all(_ids(frozenset(asked)), **some)]


async def names_with(db: Database, family: str, fact: str) -> set[str]:
    """Return the packages with files that may have a fact."""
    if fact != "quarantine":
        return {row[0] for row in await db.fetch_large(_NAMES[fact], family=family)}
    if not await db.fetch_one(_QUARANTINED):
        return set()
    return {row[0] for names in (_NAMES[fact], _CLAIMED_NAMES) for row in await db.fetch_large(names)}


async def hidden_names(db: Database, ruleset_id: int) -> set[str]:
    """Return the packages of any family of which a ruleset hides files."""
    return {row[0] for row in await db.fetch_large(_HIDDEN_NAMES, ruleset_id=ruleset_id)}


async def built_names(db: Database) -> set[str]:
    """Return the packages of any family with files of which the builder says something."""
    return {row[0] for row in await db.fetch_large(_BUILT_NAMES)}


async def names_with_reasons(
    db: Database, channel_id: int, family: str, ruleset_id: int, *, twins: bool, own: bool
) -> set[str]:
    """Return the packages of a channel that are waived, or have overlays under a ruleset.

    And those in two archive forms, with `twins`, and with `own` those uploaded of which it has other files, too.
    """
    asked = [_WAIVED, _REASONED, *([_TWINS] if twins else [])]
    if own and await _is_mixed(db, channel_id):
        asked.append(_SHARED)
    some = {"channel_id": channel_id, "family": family, "ruleset_id": ruleset_id}
    return {row[0] for statement in asked for row in await db.fetch_large(statement, **some)}


async def _is_mixed(db: Database, channel_id: int) -> bool:
    """Say whether a channel has uploads, and other files, too."""
    [[own]] = await db.fetch_large(_OWN_FILES, channel_id=channel_id)
    [[every]] = await db.fetch_large(_FILES, channel_id=channel_id)
    return bool(0 < own < every)


async def with_reasons(
    reader: Reader, channel_id: int, ruleset_id: int, names: Collection[str], *, twins: bool, own: bool
) -> set[str]:
    """Return the same of some packages, but for waivers."""
    asked = [*([_TWINS_AMONG] if twins else []), *([_SHARED_AMONG] if own else [])]
    if await overlays.any_of_channel(reader, channel_id, ruleset_id):
        asked.append(_REASONED_AMONG)
    some = {"channel_id": channel_id, "ruleset_id": ruleset_id, "names": list(names)}
    return {row[0] for statement in asked for row in await reader.fetch_all(statement, **some)}


async def arrived_with_reasons(
    reader: Reader,
    channel_id: int,
    ruleset_id: int,
    ids: Collection[int],
    names: Collection[str],
    *,
    twins: bool,
    own: bool,
) -> set[str]:
    """Return the same, where nothing changed of the packages but that these records arrived."""
    asked = [*([_TWINS_ARRIVED] if twins else []), *([_SHARED_AMONG] if own else [])]
    if await overlays.any_of_channel(reader, channel_id, ruleset_id):
        asked.append(_REASONED_ARRIVED)
    some = {"channel_id": channel_id, "ruleset_id": ruleset_id, "names": list(names), "ids": list(ids)}
    return {row[0] for statement in asked for row in await reader.fetch_all(statement, **some)}


@cache
def _ids(facts: frozenset[str]) -> CompoundSelect[Any]:
    suspect = or_(*(_HAS[fact] for fact in sorted(facts)), _HIDDEN)
    held_back = [_HELD_BACK_IDS] if "quarantine" in facts else []
    return union(select(record.c.id).where(_OF_NAMES, suspect), *held_back)
