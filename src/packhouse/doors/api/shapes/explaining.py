"""Decisions on the wire: why a file may be seen or not, and what another policy would change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from packhouse.catalog.policies.hidden import Standing
from packhouse.core.clock import to_iso
from packhouse.core.db.base import Reader
from packhouse.doors.api.words import RuleAnswer
from packhouse.security.policies.explain import Asked
from packhouse.security.policies.simulate import Remaining, Uninstallable
from packhouse.security.vulnerabilities.scores import decimal
from packhouse.workflows.answering.explaining import Explained, FileDecision
from packhouse.workflows.answering.simulating import Outcome, Stranded, Turned
from packhouse.workflows.judging.store import FileRow


class AskedShape(msgspec.Struct, kw_only=True):
    """One rule and its answer."""

    rule: str
    answer: RuleAnswer
    evidence: dict[str, Any]  #: what it saw, if it hides; `text` is a sentence
    until: str | None  #: RFC 3339; when time alone ends it


class DecisionShape(msgspec.Struct, kw_only=True):
    """What is decided of a file."""

    ckey: str
    version: str
    build: str
    seen: bool  #: as the gate says now
    hidden_by: str | None  #: the rule that hides it
    since: str | None  #: RFC 3339
    until: str | None  #: when time alone ends that, or the waiver by which it is seen
    waived_by: str | None  #: id of the waiver by which it is seen
    settled: bool  #: false: something changed that is being judged, and the answers below say what comes of it
    asked: list[AskedShape]  #: every rule in its order


class FilePart(msgspec.Struct, kw_only=True):
    """A file."""

    ckey: str
    version: str
    build: str


class ExplanationShape(msgspec.Struct, kw_only=True):
    """Why files of a package may be seen or not."""

    family: str
    name: str
    ruleset: int  #: number of the rules that hold in the channel; they are never changed, so that this can be replayed
    at: str  #: RFC 3339; the rules were asked for this time
    newest: FilePart | None  #: the newest file that may be seen, as the gate says now
    items: list[DecisionShape]  #: newest version first
    total_count: int


class HiddenCount(msgspec.Struct, kw_only=True):
    """How many files a rule hides in a channel."""

    family: str
    rule: str | None  #: null: files that may be seen
    files: int


class TurnedShape(msgspec.Struct, kw_only=True):
    """A file of which another policy would say something else."""

    family: str
    name: str
    ckey: str
    version: str
    build: str
    rule: str  #: what would hide it, or hides it now
    text: str
    until: str | None


class StrandedShape(msgspec.Struct, kw_only=True):
    """A file that would be seen, but could not be installed."""

    family: str
    name: str
    ckey: str
    version: str
    build: str
    missing: str  #: the dependency it would lose


class UninstallableShape(msgspec.Struct, kw_only=True):
    """A package of which nothing could be installed any more."""

    family: str
    name: str
    missing: str
    files: int


class RemainingShape(msgspec.Struct, kw_only=True):
    """A vulnerability in what would be seen."""

    family: str
    cve: str
    score: float | None
    files: dict[str, int]  #: by status


class SimulationCounts(msgspec.Struct, kw_only=True):
    """How much it would be."""

    files: int
    seen_now: int
    seen_then: int
    disappears: int
    comes_back: int
    unsolvable: int
    uninstallable: int
    remaining: int


class SimulationShape(msgspec.Struct, kw_only=True):
    """What another policy would do to a channel. Each list is a page; `counts` are over all."""

    counts: SimulationCounts
    summary: list[str]  #: the policy in plain words
    warnings: list[str]
    disappears: list[TurnedShape]
    comes_back: list[TurnedShape]
    unsolvable: list[StrandedShape]
    uninstallable: list[UninstallableShape]
    remaining: list[RemainingShape]  #: worst first


def explanation(found: Explained) -> ExplanationShape:
    """Fill the shape of an explanation."""
    return ExplanationShape(
        family=found.family,
        name=found.name,
        ruleset=found.ruleset_id,
        at=to_iso(found.at) or "",
        newest=None if found.newest is None else FilePart(**_file(found.newest)),
        items=[_decision(one) for one in found.files],
        total_count=found.total,
    )


def _decision(one: FileDecision) -> DecisionShape:
    return DecisionShape(
        **_file(one.gate),
        seen=one.gate.rule is None,
        hidden_by=one.gate.rule,
        since=to_iso(one.gate.since) if one.gate.rule else None,
        until=to_iso(one.gate.until),
        waived_by=one.waived_by,
        settled=one.settled,
        asked=[_asked(asked) for asked in one.asked],
    )


def _asked(one: Asked) -> AskedShape:
    return AskedShape(rule=one.rule, answer=one.answer, evidence=one.evidence, until=to_iso(one.until))


def _file(row: FileRow | Standing) -> dict[str, str]:
    return {"ckey": f"{row.partition}/{row.filename}", "version": row.version, "build": row.build}


def counts(outcomes: Sequence[Outcome]) -> SimulationCounts:
    """Add up how much it would be in all families."""
    files = [outcome.counts for outcome in outcomes]
    return SimulationCounts(
        files=sum(one[0] for one in files),
        seen_now=sum(one[1] for one in files),
        seen_then=sum(one[2] for one in files),
        disappears=sum(len(one.found.disappears) for one in outcomes),
        comes_back=sum(len(one.found.comes_back) for one in outcomes),
        unsolvable=sum(len(one.found.unsolvable) for one in outcomes),
        uninstallable=sum(len(one.found.uninstallable) for one in outcomes),
        remaining=sum(len(one.found.remaining) for one in outcomes),
    )


#: rows of a list that are read together
_READ = 100
#: the lists of a simulation, by name
LISTS = ("disappears", "comes_back", "unsolvable", "uninstallable", "remaining")


async def rows_of(
    reader: Reader, outcomes: Iterable[Outcome], name: str, limit: int | None = None, offset: int = 0
) -> AsyncIterator[Any]:
    """Yield a list of a simulation, or a page of it; what is skipped costs nothing."""
    for outcome in outcomes:
        length = len(getattr(outcome.found, name))
        end = length if limit is None else min(length, offset + limit)
        for start in range(offset, end, _READ):
            for one in await _page(reader, outcome, name, slice(start, min(end, start + _READ))):
                yield one
        if limit is not None:
            limit -= max(end - offset, 0)
        offset = max(offset - length, 0)


async def _page(reader: Reader, outcome: Outcome, name: str, page: slice) -> Iterable[Any]:
    family = outcome.family
    if name == "disappears":
        return [_turned(family, one) for one in await outcome.disappears(reader, page)]
    if name == "comes_back":
        return [_turned(family, one) for one in await outcome.comes_back(reader, page)]
    if name == "unsolvable":
        return [_stranded(family, one) for one in await outcome.unsolvable(reader, page)]
    if name == "uninstallable":
        return [_uninstallable(family, one) for one in outcome.found.uninstallable[page]]
    return [_remaining(family, one) for one in outcome.found.remaining[page]]


def _turned(family: str, one: Turned) -> TurnedShape:
    row, until = one.row, to_iso(one.until)
    return TurnedShape(family=family, name=row.name, **_file(row), rule=one.rule, text=one.text, until=until)


def _stranded(family: str, one: Stranded) -> StrandedShape:
    return StrandedShape(family=family, name=one.row.name, **_file(one.row), missing=one.missing)


def _uninstallable(family: str, one: Uninstallable) -> UninstallableShape:
    return UninstallableShape(family=family, name=one.name, missing=one.missing, files=one.files)


def _remaining(family: str, one: Remaining) -> RemainingShape:
    return RemainingShape(family=family, cve=one.cve, score=decimal(one.score), files=one.files)
