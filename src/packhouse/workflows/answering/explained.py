"""The files of a package explained: what the gate says of each, and every rule's answer, asked again.

Verdicts keep the rule and since when; what a rule saw comes from asking it again, which says the same unless something
changed that has not been judged yet. Both are told, so that who replays a decision sees whether it still stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.policies import hidden, waivers
from packhouse.catalog.policies.hidden import Hidden
from packhouse.catalog.policies.verdicts import Pair
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.security.policies.explain import Asked, explain
from packhouse.workflows.answering.explaining import Judged, judge_packages
from packhouse.workflows.judging.store import FileRow


class FileDecision(msgspec.Struct, frozen=True):
    """What is decided of a file, and why."""

    row: FileRow
    gate: Hidden  #: what the gate says
    seen: bool  #: what the rules say, asked again
    waived_by: str | None  #: public id of the waiver by which it may be seen nevertheless
    asked: list[Asked]

    @property
    def settled(self) -> bool:
        """Whether the gate says the same; else something changed that is being judged."""
        return self.seen == (self.gate.rule is None)


class Explained(msgspec.Struct, frozen=True):
    """Files of a package in a channel, newest first, and the newest one that may be seen."""

    family: str
    name: str
    ruleset_id: int
    at: int  #: microseconds; the rules were asked for this time
    files: list[FileDecision]
    total: int  #: files of the package, or those that the question was about
    newest: FileRow | None


class _Case(NamedTuple):
    """A package in a channel, with all that is said of it. `order` are its rows, newest first."""

    channel: Channel
    family: str
    name: str
    judged: Judged
    gate: Mapping[Pair, Hidden]
    uuids: Mapping[int, str]  #: of waivers
    order: list[int]


async def explain_package(
    db: Database, channel: Channel, family: str, name: str, limit: int, offset: int = 0
) -> Explained:
    """Return what is decided of the files of a package. Raises PackhouseError: `not_found`, `unsupported_type`."""
    case = await _case(db, channel, family, str(registry.get(family).matcher(name).name or name))
    return _explained(case, case.order[offset : offset + limit], len(case.order), case.order)


async def explain_file(db: Database, channel: Channel, family: str, ckey: str) -> Explained:
    """Return what is decided of one file, named by its ckey or, where that is but one, its file name.

    `newest` is the newest file of its package that may be seen and could stand in its place. Raises PackhouseError:
    `not_found`, `unsupported_type`, `conflict` when several files have the name.
    """
    partition, _, filename = ckey.rpartition("/")
    try:
        case = await _case(db, channel, family, registry.get(family).coordinate(partition, filename).name)
    except Malformed as error:
        raise _no_file(channel, ckey) from error
    rows = case.judged.rows
    found = [one for one in case.order if rows[one].filename == filename and partition in ("", rows[one].partition)]
    if not found:
        raise _no_file(channel, ckey)
    if len(found) > 1:
        places = ", ".join(f"{rows[number].partition}/{filename}" for number in found)
        raise PackhouseError("conflict", f"Several files are named so: {places}.", "Name one of them.")
    place = rows[found[0]].partition
    return _explained(case, found, 1, [number for number in case.order if rows[number].partition == place])


async def _case(db: Database, channel: Channel, family: str, name: str) -> _Case:
    at = await db.now()
    gate = {(one.record_id, one.content_id): one for one in await hidden.of_names(db, channel.id, family, [name])}
    judged = await judge_packages(db, channel, family, [name], at)
    uuids = {one.id: one.uuid for one in await waivers.of_names(db, family, [name], at)}
    order = [number for number in _newest_first(family, judged.rows) if judged.rows[number].pair in gate]
    if not order:
        raise PackhouseError("not_found", f"{channel.path} has no {family} package {name[:80]!r}.", "Check its name.")
    return _Case(channel, family, name, judged, gate, uuids, order)


def _newest_first(family: str, rows: Sequence[FileRow]) -> list[int]:
    order = registry.get(family).order
    age = {version: order(version) for version in {row.version for row in rows}}
    numbers = sorted(range(len(rows)), key=lambda number: (rows[number].partition, rows[number].filename))
    return sorted(numbers, key=lambda number: (age[rows[number].version], rows[number].build_number), reverse=True)


def _explained(case: _Case, chosen: Sequence[int], total: int, rivals: Sequence[int]) -> Explained:
    """Tell of the chosen rows, and which of the rivals is the newest that may be seen."""
    judged = case.judged
    newest = next((judged.rows[number] for number in rivals if judged.seen[number]), None)
    files = [_decision(case, number) for number in chosen]
    return Explained(case.family, case.name, case.channel.ruleset_id, judged.decisions.now, files, total, newest)


def _decision(case: _Case, number: int) -> FileDecision:
    judged = case.judged
    row, now = judged.rows[number], judged.decisions.now
    found = explain(judged.batch, number, judged.context, judged.policy, now, tuple(judged.waivers))
    waived = None if found.waived_by is None else case.uuids.get(found.waived_by)
    return FileDecision(row, case.gate[row.pair], bool(judged.seen[number]), waived, found.asked)


def _no_file(channel: Channel, ckey: str) -> PackhouseError:
    hint = "Write `<subdir>/<file name>`, of a wheel `simple/<file name>`."
    return PackhouseError("not_found", f"{channel.path} has no file {ckey[:200]!r}.", hint)
