"""The files of a package explained: what the gate says of each, and every rule's answer, asked again.

Verdicts keep the rule and since when; what a rule saw comes from asking it again, which says the same unless something
changed that has not been judged yet. Both are told, so that who replays a decision sees whether it still stands. Only
the files in question are looked at, and those few that rules compare them with: which others may be seen is what the
gate says. Of many files some are explained at a time, so that others are served between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.policies import hidden, waivers
from packhouse.catalog.policies.hidden import Standing
from packhouse.catalog.policies.overlays import Overlay
from packhouse.catalog.vulnerabilities import findings
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.core.stopping import calculate
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import NEWER, OLDER
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.explain import Asked, explain
from packhouse.security.policies.rules.age import MinimumAge
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.rules.latest import LatestOnly
from packhouse.security.policies.rules.legacy import LegacyTwins
from packhouse.workflows.answering.peers import Peers, newest_first
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import Circumstances, circumstances, context_of, said_by_closures
from packhouse.workflows.judging.knowing import Knowledge, recall
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.verdicts import policies

#: files that are explained together
PART = 50


class FileDecision(msgspec.Struct, frozen=True):
    """What is decided of a file, and why."""

    gate: Standing  #: what the gate says
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
    newest: Standing | None


class _Case(NamedTuple):
    """A package in a channel, with what is said of all its files alike."""

    channel: Channel
    family: str
    name: str
    at: int
    policy: Policy
    around: Circumstances
    uuids: Mapping[int, str]  #: of waivers
    exploited: set[str]  #: versions with a vulnerability that is exploited, where a rule asks


async def explain_package(
    db: Database, channel: Channel, family: str, name: str, limit: int, offset: int = 0
) -> Explained:
    """Return what is decided of the files of a package. Raises PackhouseError: `not_found`, `unsupported_type`."""
    case = await _case(db, channel, family, str(registry.get(family).matcher(name).name or name))
    files = await hidden.of_package(db, channel.id, family, case.name)
    if not files:
        raise PackhouseError("not_found", f"{channel.path} has no {family} package {name[:80]!r}.", "Check its name.")
    ordered, peers = await calculate(partial(_surveyed, case, files))
    newest = next((one for one in ordered if one.rule is None), None)
    return _explained(case, await _decisions(db, case, ordered[offset : offset + limit], peers), len(ordered), newest)


async def explain_file(db: Database, channel: Channel, family: str, ckey: str) -> Explained:
    """Return what is decided of one file, named by its ckey or, where that is but one, its file name.

    `newest` is the newest file of its package that may be seen and could stand in its place. Raises PackhouseError:
    `not_found`, `unsupported_type`, `conflict` when several files have the name.
    """
    partition, _, filename = ckey.rpartition("/")
    try:
        name = registry.get(family).coordinate(partition, filename).name
    except Malformed as error:
        raise _no_file(channel, ckey) from error
    places = [partition] if partition else await hidden.partitions_of(db, channel.id, name)
    found = [one for place in places for one in await hidden.at(db, channel.id, family, place, [filename])]
    if not found:
        raise _no_file(channel, ckey)
    if len(found) > 1:
        several = ", ".join(f"{one.partition}/{filename}" for one in found)
        raise PackhouseError("conflict", f"Several files are named so: {several}.", "Name one of them.")
    case = await _case(db, channel, family, name)
    rivals = await _rivals(db, case, found[0].partition)
    newest = next((one for one in await calculate(partial(newest_first, family, rivals)) if one.rule is None), None)
    peers = await _peers(db, case, found[0], newest)
    decisions = await _decisions(db, case, found, peers)
    if not decisions:  # it has gone meanwhile
        raise _no_file(channel, ckey)
    return _explained(case, decisions, 1, newest)


async def _case(db: Database, channel: Channel, family: str, name: str) -> _Case:
    at = await db.now()
    policy = (await policies(db, [channel.ruleset_id]))[channel.ruleset_id]
    around = await circumstances(db, channel.id, family, [name], at)
    uuids = {one.id: one.uuid for one in await waivers.of_names(db, family, [name], at)}
    exploited = await findings.exploited(db, family, name) if policy.has(MinimumAge) else set()
    return _Case(channel, family, name, at, policy, around, uuids, exploited)


def _surveyed(case: _Case, files: Sequence[Standing]) -> tuple[list[Standing], Peers]:
    return newest_first(case.family, files), Peers(case.family, case.policy, files, case.exploited)


async def _rivals(db: Database, case: _Case, partition: str) -> list[Standing]:
    """Return files of the package that may be seen in a partition, the newest among them."""
    asked = (case.channel.id, case.family, case.name, partition)
    return await hidden.latest_in(db, *asked) or await hidden.shown_in(db, *asked)


async def _peers(db: Database, case: _Case, file: Standing, newest: Standing | None) -> Peers:
    """Return what matters to one file. `newest` is the newest one that may be seen in its partition."""
    both = case.policy.has(LatestOnly) and case.policy.has(Installable)
    if both or case.exploited:  # what cannot be installed makes older ones superseded, too; versions are compared
        files = await hidden.of_package(db, case.channel.id, case.family, case.name)
        return await calculate(partial(Peers, case.family, case.policy, files, case.exploited))
    files = [file] if newest is None else [file, newest]
    if case.policy.has(LegacyTwins) and file.filename.endswith(OLDER):
        twin = file.filename.removesuffix(OLDER) + NEWER
        files += await hidden.at(db, case.channel.id, case.family, file.partition, [twin])
    return Peers(case.family, case.policy, files)


async def _decisions(db: Database, case: _Case, files: Sequence[Standing], peers: Peers) -> list[FileDecision]:
    """Return what is decided of files, in their order; of those that have gone meanwhile nothing."""
    found: list[FileDecision] = []
    for start in range(0, len(files), PART):
        part = files[start : start + PART]
        found += await _decided(db, case, part, peers.of(part))
        await asyncio.sleep(0)  # SQLite answers without a turn of the event loop
    return found


async def _decided(
    db: Database, case: _Case, files: Sequence[Standing], peers: Sequence[Standing]
) -> list[FileDecision]:
    channel, family, policy = case.channel, case.family, case.policy
    places = {(one.partition, one.filename): one for one in (*files, *peers)}
    here = await store.here_of_records(db, channel.id, family, sorted({one.record_id for one in places.values()}))
    rows = [row for row in here if (row.partition, row.filename) in places]
    knowledge = await recall(db, family, rows, [policy])
    python = await python_of(db, family, rows, [policy])
    reasons = await said_by_closures(db, channel.id, channel.ruleset_id, rows, policy)
    return await calculate(partial(_asked, case, files, rows, knowledge, python, reasons))


def _asked(
    case: _Case,
    files: Sequence[Standing],
    rows: Sequence[FileRow],
    knowledge: Knowledge,
    python: Mapping[int, str],
    reasons: Sequence[Overlay],
) -> list[FileDecision]:
    """Ask every rule about files. `rows` are they and those they are compared with, in any order."""
    batch = batch_of(rows, knowledge, python)
    context = context_of(case.channel.ruleset_id, rows, batch, case.policy, case.around, reasons, case.at)
    numbers = {(row.partition, row.filename): number for number, row in enumerate(rows)}
    decisions = []
    for file in files:
        number = numbers.get((file.partition, file.filename))
        if number is not None:
            found = explain(batch, number, context, case.policy, case.at, tuple(case.around.waivers))
            waived = None if found.waived_by is None else case.uuids.get(found.waived_by)
            decisions.append(FileDecision(file, found.seen, waived, found.asked))
    return decisions


def _explained(case: _Case, decisions: list[FileDecision], total: int, newest: Standing | None) -> Explained:
    return Explained(case.family, case.name, case.channel.ruleset_id, case.at, decisions, total, newest)


def _no_file(channel: Channel, ckey: str) -> PackhouseError:
    hint = "Write `<subdir>/<file name>`, of a wheel `simple/<file name>`."
    return PackhouseError("not_found", f"{channel.path} has no file {ckey[:200]!r}.", hint)
