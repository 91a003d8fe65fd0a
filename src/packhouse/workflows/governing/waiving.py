"""What people do with waivers: let files pass for a while that a rule hides, and end that early.

Each is one unit with one audit event, and leaves the package to be judged again. A waiver is never changed: who wants
another one ends it and makes that, so that what was decided stays to be read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels.listing import visible_ids
from packhouse.catalog.policies import waivers
from packhouse.catalog.policies.waivers import Lifts, WaiverRow
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.clock import to_iso
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import new_uuid
from packhouse.formats import registry
from packhouse.security.policies.compiling import RULES
from packhouse.security.policies.waivers import Waiver, check_waiver
from packhouse.workflows.governing.places import path_of
from packhouse.workflows.judging import store
from packhouse.workflows.judging.packages import package_name
from packhouse.workflows.services import Services

#: characters of a reason, and vulnerabilities of one waiver
REASON_LENGTH, MOST_CVES = 2000, 100
_KEY_LENGTH = 128


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A waiver to be made."""

    family: str
    name: str
    spec: str = ""  #: version and build of a match spec; empty: every file of the package
    rules: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    reason: str
    until: int  #: microseconds
    channel_id: int | None = None  #: None: everywhere


class Matches(msgspec.Struct, frozen=True):
    """How far a waiver reaches, in the channels that whoever asks may see."""

    files: int  #: 0 for a name or a version that is nowhere, for example a misspelt one
    channels: int  #: that have any of them


async def create_waiver(services: Services, actor: str, wanted: Wanted) -> WaiverRow:
    """Let files pass until a time. Raises PackhouseError: `bad_request`, `unsupported_type`, `not_found`."""
    name = package_name(wanted.family, wanted.name)
    lifts = Lifts(_rules(wanted.rules), _cves(wanted.cves))
    reason = _reason(wanted.reason)
    uuid = new_uuid()

    async def work(unit: Unit) -> WaiverRow:
        check_waiver(
            Waiver(0, wanted.family, f"{name} {wanted.spec}".strip(), wanted.until, lifts.rules, lifts.cves), unit.now
        )
        path = await path_of(unit, wanted.channel_id)
        row = WaiverRow(
            0, uuid, wanted.channel_id, wanted.family, name, wanted.spec.strip(), lifts, reason, actor, unit.now,
            wanted.until, path,
        )  # fmt: skip
        row = row._replace(id=await waivers.add(unit, row))
        await _tell(unit, "waiver_created", actor, row)
        return row

    return await services.db.write(work)


async def matched(db: Database, caller: Principal, row: WaiverRow) -> Matches:
    """Count the files that a waiver selects now, whether anything hides them or not, as far as the caller sees them."""
    matcher = registry.get(row.family).matcher(f"{row.name} {row.spec}".strip())
    places = [row.channel_id] if row.channel_id is not None else await store.channels_of(db, row.family, [row.name])
    places = sorted(await visible_ids(db, caller, places))
    counts = [await _count(db, place, row, matcher) for place in places]
    return Matches(sum(counts), sum(count > 0 for count in counts))


async def _count(db: Database, channel_id: int, row: WaiverRow, matcher: Any) -> int:
    files = await store.here_of_names(db, channel_id, row.family, [row.name])
    return sum(
        matcher.matches(one.name, one.version, one.build, one.build_number, subdir=one.partition) for one in files
    )


async def end_waiver(services: Services, actor: str, uuid: str) -> WaiverRow:
    """Let a waiver end now. Raises PackhouseError: `not_found`, `conflict` when it has ended already."""

    async def work(unit: Unit) -> WaiverRow:
        row = await waivers.by_uuid(unit, uuid)
        if row is None:
            raise no_waiver()
        if not await waivers.end(unit, row.id):
            raise PackhouseError("conflict", f"The waiver ended at {to_iso(row.until)}.", "There is nothing to end.")
        await _tell(unit, "waiver_ended", actor, row)
        return row._replace(until=unit.now)

    return await services.db.write(work)


def no_waiver() -> PackhouseError:
    """Return the refusal of a waiver that is not there."""
    return PackhouseError("not_found", "There is no such waiver.", "List the waivers to find its id.")


async def _tell(unit: Unit, kind: str, actor: str, row: WaiverRow) -> None:
    data = {
        "waiver_id": row.uuid,
        "family": row.family,
        "name": row.name,
        "spec": row.spec,
        "rules": row.lifts.rules,
        "cves": row.lifts.cves,
        "reason": row.reason,
        "until": to_iso(row.until),
    }
    await record_event(unit, type=kind, actor=actor, object=row.name, channel_id=row.channel_id, data=data)
    await unjudged.add(unit, [(row.family, row.name)])


def _rules(given: Collection[str]) -> tuple[str, ...]:
    unknown = next((key for key in given if key not in RULES), None)
    if unknown is not None:
        raise PackhouseError(
            "bad_request", f"`rules`: {unknown[:60]!r} is no rule.", f"Known are: {', '.join(RULES)}.", field="rules"
        )
    return tuple(sorted(set(given)))


def _cves(given: Collection[str]) -> tuple[str, ...]:
    keys = tuple(sorted({key.strip().upper() for key in given if key.strip()}))
    if len(keys) > MOST_CVES or any(len(key) > _KEY_LENGTH or not key.isprintable() for key in keys):
        raise PackhouseError(
            "bad_request", f"`cves`: at most {MOST_CVES} identifiers such as CVE-2021-44228.", field="cves"
        )
    return keys


def _reason(text: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= REASON_LENGTH or "\0" in text:
        raise PackhouseError("bad_request", f"`reason`: say in 1 to {REASON_LENGTH:,} characters why.", field="reason")
    return text
