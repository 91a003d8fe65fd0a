"""What another policy would do to a channel: everything is decided twice, and nothing is stored.

It is what would then happen, since the same rules are asked with the same waivers and reservations.
"""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from packhouse.catalog.channels.channel import Channel
from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.stopping import calculate
from packhouse.security.policies.batch import Batch, Ints
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.decide import SEEN, Decisions, Policy, decide
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.policy import NO_POLICY, Rules
from packhouse.security.policies.simulate import Simulation, simulate
from packhouse.security.policies.survey import survey
from packhouse.security.policies.waivers import lifted
from packhouse.workflows.answering.keeping import last_channel
from packhouse.workflows.judging import store
from packhouse.workflows.judging.columns import Files
from packhouse.workflows.judging.contexts import Circumstances, circumstances_of_channel
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.verdicts import policies

#: how long one may take
SECONDS = 60


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

    files: Files
    before: Decisions
    after: Decisions
    found: Simulation

    @property
    def family(self) -> str:
        """The family of the files."""
        return self.files.family

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many files there are, may be seen, and might be seen then."""
        return len(self.files), int(self.before.seen.sum()), int(self.after.seen.sum())

    async def disappears(self, reader: Reader, page: slice) -> list[Turned]:
        """Return files that would be hidden, with what would hide them. Those that are gone by now are left out."""
        return await self._turned(reader, self.found.disappears[page], self.after)

    async def comes_back(self, reader: Reader, page: slice) -> list[Turned]:
        """Return files that would be seen again, with what hides them now."""
        return await self._turned(reader, self.found.comes_back[page], self.before)

    async def unsolvable(self, reader: Reader, page: slice) -> list[Stranded]:
        """Return files that could not be installed any more, though they may be seen."""
        rows = await self.rows(reader, self.found.unsolvable[page])
        missing = zip(self.found.unsolvable[page].tolist(), self.found.missing[page], strict=True)
        return [Stranded(rows[number], spec) for number, spec in missing if number in rows]

    async def _turned(self, reader: Reader, numbers: Ints, side: Decisions) -> list[Turned]:
        found = []
        for number, row in (await self.rows(reader, numbers)).items():
            if (why := side.reason(number)) is not None:
                found.append(Turned(row, why.rule, str(why.evidence.get("text", "")), why.until))
        return found

    async def rows(self, reader: Reader, numbers: Ints) -> dict[int, FileRow]:
        """Return files by their numbers."""
        ids = self.files.entry_id[numbers].tolist()
        rows = await store.here_of_entries(reader, self.family, ids)
        return {number: rows[one] for number, one in zip(numbers.tolist(), ids, strict=True) if one in rows}


async def simulate_policy(
    db: Database, channel: Channel, rules: Rules | None, *, dependencies: bool = True
) -> list[Outcome]:
    """Return what a channel would show under other rules, None standing for no policy; for each family it has.

    Without `dependencies` it is faster, and rules that keep closures whole see none. Raises
    PackhouseError: `bad_request` for rules that make no sense or take longer than `SECONDS`, and `try_later` while
    another simulation is under way: each takes a whole processor. When this is cancelled, the work ends soon after.
    """
    try:
        async with last_channel(db).alone(), asyncio.timeout(SECONDS):
            return await _simulate_all(db, channel, rules, dependencies)
    except TimeoutError:
        raise PackhouseError(
            "bad_request",
            f"The simulation was given up after {SECONDS} s.",
            "Narrow the rules: fewer specs and patterns, or `dependencies` false.",
        ) from None


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
    kept = await last_channel(db).files(db, channel_id, family)
    batch = await kept.batch(db, [old, new])
    demands = await kept.demands(db, batch) if dependencies else None
    found = await circumstances_of_channel(db, channel_id, kept.files, at)
    before, after, difference = await calculate(partial(_compare, batch, demands, found, old, new, at))
    return Outcome(kept.files, before, after, difference)


def _compare(
    batch: Batch, demands: Demands | None, found: Circumstances, old: Policy, new: Policy, at: int
) -> tuple[Decisions, Decisions, Simulation]:
    before, after = (_decided(batch, policy, demands, found, at) for policy in (old, new))
    return before, after, simulate(before, after, demands)


def _decided(batch: Batch, policy: Policy, demands: Demands | None, found: Circumstances, at: int) -> Decisions:
    """Return what the rules say, waivers counted in."""
    context = survey(batch, policy, at, demands, found.reserved, waivers=found.waivers)
    decisions = decide(batch, context, policy, at)
    rule = decisions.rule.copy()
    rule[lifted(batch, context, policy, found.waivers, at).rows] = SEEN
    return msgspec.structs.replace(decisions, rule=rule)
