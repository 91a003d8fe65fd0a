"""What another policy would do to a channel: everything is decided twice, and nothing is stored.

It is what would then happen, since the same rules are asked with the same waivers and reservations.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
import numpy as np

from packhouse.catalog.channels.channel import Channel
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.core.stopping import calculate
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.decide import SEEN, Decisions, Policy, decide
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.policy import NO_POLICY, Rules
from packhouse.security.policies.simulate import Remaining, Simulation, Uninstallable, simulate
from packhouse.security.policies.survey import survey
from packhouse.security.policies.waivers import lifted
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import Circumstances, circumstances
from packhouse.workflows.judging.knowing import Knowledge, recall
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.verdicts import policies
from packhouse.workflows.judging.whole import needs_of

#: files read in one turn
PART = 1000
#: how long one may take
SECONDS = 60
#: simulations under way in this process: one at most, since each takes a whole processor and the memory of a channel
_under_way: set[object] = set()


class Turned(msgspec.Struct, frozen=True):
    """A file of which a policy says something else than the one before it."""

    row: FileRow
    rule: str  #: that hides it, before or after
    text: str  #: what that rule saw
    until: int | None  #: microseconds, if time alone ends that


class Stranded(msgspec.Struct, frozen=True):
    """A file that may be seen, but could not be installed any more."""

    row: FileRow
    missing: str  #: the dependency it would lose


class Outcome(msgspec.Struct, frozen=True):
    """What would become of the files of one family in a channel."""

    family: str
    rows: Sequence[FileRow]
    before: Decisions
    after: Decisions
    found: Simulation

    @property
    def files(self) -> tuple[int, int, int]:
        """How many files there are, may be seen, and might be seen then."""
        return len(self.rows), int(self.before.seen.sum()), int(self.after.seen.sum())

    def disappears(self, offset: int = 0, limit: int | None = None) -> Iterator[Turned]:
        """Yield the files that would be hidden, with what would hide them."""
        return self._turned(self.found.disappears, self.after, offset, limit)

    def comes_back(self, offset: int = 0, limit: int | None = None) -> Iterator[Turned]:
        """Yield the files that would be seen again, with what hides them now."""
        return self._turned(self.found.comes_back, self.before, offset, limit)

    def unsolvable(self, offset: int = 0, limit: int | None = None) -> Iterator[Stranded]:
        """Yield the files that could not be installed any more, though they may be seen."""
        end = None if limit is None else offset + limit
        numbers = self.found.unsolvable[offset:end].tolist()
        for number, missing in zip(numbers, self.found.missing[offset:end], strict=True):
            yield Stranded(self.rows[number], missing)

    @property
    def uninstallable(self) -> list[Uninstallable]:
        """The packages of which nothing is left that can be installed."""
        return self.found.uninstallable

    @property
    def remaining(self) -> list[Remaining]:
        """The vulnerabilities of what would be seen."""
        return self.found.remaining

    def _turned(
        self, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], side: Decisions, offset: int, limit: int | None
    ) -> Iterator[Turned]:
        for number in numbers[offset : None if limit is None else offset + limit].tolist():
            why = side.reason(number)
            if why is not None:
                yield Turned(self.rows[number], why.rule, str(why.evidence.get("text", "")), why.until)


async def simulate_policy(
    db: Database, channel: Channel, rules: Rules | None, *, dependencies: bool = True
) -> list[Outcome]:
    """Return what a channel would show under other rules, None standing for no policy; for each family it has.

    Without `dependencies` it is faster, and rules that keep closures whole see none. Raises
    PackhouseError: `bad_request` for rules that make no sense or take longer than `SECONDS`, and `try_later` while
    another simulation is under way. When this is cancelled, the work ends soon after.
    """
    if _under_way:
        raise PackhouseError(
            "try_later", "Another simulation is under way; one runs at a time.", "Try again shortly.", retry_after=5
        )
    this = object()
    _under_way.add(this)
    try:
        async with asyncio.timeout(SECONDS):
            return await _simulate_all(db, channel, rules, dependencies)
    except TimeoutError:
        raise PackhouseError(
            "bad_request",
            f"The simulation was given up after {SECONDS} s.",
            "Narrow the rules: fewer specs and patterns, or `dependencies` false.",
        ) from None
    finally:
        _under_way.discard(this)


async def _simulate_all(db: Database, channel: Channel, rules: Rules | None, dependencies: bool) -> list[Outcome]:
    new = await calculate(partial(compile_rules, rules or NO_POLICY))
    old = (await policies(db, [channel.ruleset_id]))[channel.ruleset_id]
    return [
        await _simulate(db, channel.id, family, old, new, dependencies)
        for family in sorted(await store.families_here(db, channel.id))
    ]


async def _simulate(
    db: Database, channel_id: int, family: str, old: Policy, new: Policy, dependencies: bool
) -> Outcome:
    at = await db.now()
    rows = await store.all_here(db, channel_id, family)
    knowledge = await _knowledge(db, family, rows)
    python = await python_of(db, family, rows, [old, new])
    needs = await _needs(db, family, rows) if dependencies else Needs.none(len(rows))
    found = await circumstances(db, channel_id, family, sorted({row.name for row in rows}), at)
    work = partial(_compare, family, rows, knowledge, python, needs, found, old, new, at)
    return await calculate(work)  # seconds, in a large channel


async def _knowledge(db: Database, family: str, rows: Sequence[FileRow]) -> Knowledge:
    """Return what is known of files, package by package, so that others are served between."""
    by_name: defaultdict[str, list[FileRow]] = defaultdict(list)
    for row in rows:
        by_name[row.name].append(row)
    whole = await recall(db, family, [])
    part: list[FileRow] = []
    for number, of_name in enumerate(by_name.values(), 1):
        part += of_name
        if len(part) >= PART or number == len(by_name):
            whole = _joined(whole, await recall(db, family, part))
            part = []
            await asyncio.sleep(0)  # SQLite answers without a turn of the event loop
    return whole


def _joined(one: Knowledge, other: Knowledge) -> Knowledge:
    """Add what is known of some packages to what is known of others."""
    one.found |= other.found
    one.statements |= other.statements
    one.mapped |= other.mapped
    one.quarantined |= other.quarantined
    one.signed |= other.signed
    return one


async def _needs(db: Database, family: str, rows: Sequence[FileRow]) -> Needs:
    """Return the dependencies of files, in their order; read in parts, so that others are served between."""
    parts = []
    for start in range(0, len(rows), PART):
        parts.append(await needs_of(db, family, rows[start : start + PART]))
        await asyncio.sleep(0)
    return await calculate(partial(Needs.joined, parts))


def _compare(
    family: str,
    rows: Sequence[FileRow],
    knowledge: Knowledge,
    python: dict[int, str],
    needs: Needs,
    found: Circumstances,
    old: Policy,
    new: Policy,
    at: int,
) -> Outcome:
    batch = batch_of(rows, knowledge, python)
    before, after = (_decided(batch, policy, needs, found, at) for policy in (old, new))
    return Outcome(family, rows, before, after, simulate(before, after, needs))


def _decided(batch: Batch, policy: Policy, needs: Needs, found: Circumstances, at: int) -> Decisions:
    """Return what the rules say, waivers counted in."""
    context = survey(batch, policy, at, needs, found.reserved, waivers=found.waivers)
    decisions = decide(batch, context, policy, at)
    rule = decisions.rule.copy()
    rule[lifted(batch, context, policy, found.waivers, at).rows] = SEEN
    return msgspec.structs.replace(decisions, rule=rule)
