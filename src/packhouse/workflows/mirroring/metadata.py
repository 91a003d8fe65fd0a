"""The first half of a run: read what the upstream has, and let the channel show what the filters select of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Counts
from packhouse.catalog.mirrors.store import TakenIndex
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.security.policies.decide import Policy
from packhouse.workflows.mirroring.applying import take_in, take_out
from packhouse.workflows.mirroring.showing import Showing
from packhouse.workflows.mirroring.survey import Difference, Survey, shrinks
from packhouse.workflows.mirroring.turn import Turn
from packhouse.workflows.mirroring.upstream import Reader, Source


class Metadata:
    """Takes in the indexes of one run."""

    def __init__(self, turn: Turn, reader: Reader, before: Mapping[str, TakenIndex], own: Policy) -> None:
        """`own`: the policy of the mirror itself, if it has one."""
        self._turn = turn
        self._before = before
        self._reader = reader
        self._survey = Survey(turn.services.db, turn.mirror, turn.channel, reader, before, own)
        self._taken: list[TakenIndex] = []

    async def run(self) -> bool:
        """Return whether anything had to be looked at; False when the upstream's indexes are all the same.

        Raises PackhouseError: `upstream_failed`, and `conflict` when so much is gone that an administrator must agree.
        """
        turn = self._turn
        begun = await turn.services.db.now()
        async with Showing(turn.services.publisher, turn.channel.id) as showing:
            async for difference in self._survey.differences(turn.progress.looked_around_at, self._step):
                await self._one(difference, showing)
            if self._taken:
                await showing.everything()
        if self._survey.looked_around:
            turn.progress.looked_around_at = begun
        if self._survey.looked_around or self._reader.same:
            await turn.write(self._note_look)
        if not self._taken and not self._survey.absent and not self._survey.leaving:
            return False
        await self._leave()
        await turn.write(self._note)
        turn.progress.full_run = False  # written with the next batch: a kill before that costs one more full run
        return True

    async def _step(self, description: str) -> None:
        self._turn.step(1, description)
        await self._turn.job.checkpoint()

    async def _one(self, found: Difference, showing: Showing) -> None:
        """Take in what is new in one index."""
        turn, partition = self._turn, found.source.partition
        count(turn.counts, found)
        turn.progress.meets_others |= found.plan.held > 0
        turn.step(2, f"Taking in {partition}")
        contested = await take_in(turn, found.source, found.plan, showing, found.first)
        await self._settle_conflicts(found.source, contested)
        self._taken.append(found.source.taken)

    async def _settle_conflicts(self, source: Source, contested: set[str]) -> None:
        """Forget conflicts of this index that are none any more."""
        turn = self._turn
        over = [
            (one.partition, one.filename)
            for one in await store.conflicts(turn.services.db, turn.mirror.id)
            if one.partition == source.partition
            and one.filename not in contested
            and one.filename.rsplit("-", 2)[0] not in source.unchanged
        ]
        if over:
            await turn.write(lambda unit, _: store.drop_conflicts(unit, turn.mirror.id, over))

    async def _leave(self) -> None:
        """Remove what is not upstream or not selected any more, unless the upstream lost suspiciously much."""
        turn, survey = self._turn, self._survey
        question = shrinks(survey.gone, survey.mine, turn.services.settings.shrink_guard_percent)
        if question and not turn.progress.accept_shrink:
            turn.progress.asks = "shrink"
            raise PackhouseError(
                "conflict", question, "If that is right, run the mirror again and accept that it shrinks."
            )
        if survey.leaving:
            turn.step(3, "Removing what the upstream no longer has")
            await take_out(turn, survey.leaving)
            await turn.services.publisher.publish(turn.channel.id)

    async def _note_look(self, unit: Unit, channel: Channel) -> None:
        """Write down when the source was searched, and the new ETags of indexes that are the same."""
        for taken in self._reader.same:
            await store.put_index(unit, taken)

    async def _note(self, unit: Unit, channel: Channel) -> None:
        """Write down that these indexes were taken in completely; from now on an unchanged one costs one question."""
        mirror = self._turn.mirror
        for taken in self._taken:
            await store.put_index(unit, taken)
        for partition in self._survey.absent & set(self._before):
            await store.drop_index(unit, mirror.id, partition)
        if self._turn.counts.deferred:
            await store.set_full_run(unit, mirror.id, True)


def count(counts: Counts, found: Difference) -> None:
    """Add what a difference says to the counts of a run."""
    _add_filtered(counts.mirror_filtered, found.plan.filtered)
    counts.held += found.plan.held
    counts.kept_out += found.plan.kept_out
    counts.unsupported += found.source.unsupported
    counts.dependencies += found.dependencies


def _add_filtered(target: object, found: Counter[str]) -> None:
    for rule, number in found.items():
        field = rule if hasattr(target, rule) else "policy"
        setattr(target, field, getattr(target, field) + number)
