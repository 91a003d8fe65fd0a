"""A ruleset on its way into force: its verdicts are written while nobody refers to it, then one flip, then the index.

The gate obeys with the flip. What the index still shows by the ruleset before is remembered until every name that
differs is dirty, so that whoever goes on after a crash knows what is left.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from packhouse.catalog import changes
from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies import overlays, progress, verdicts
from packhouse.catalog.policies import store as assignments
from packhouse.core.db import Database, Unit
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.rules.unknown import UnknownVulnerabilities
from packhouse.security.policies.survey import needs_whole_channel
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.reasons import judge_reasons
from packhouse.workflows.judging.rejudging import judge_waiting
from packhouse.workflows.judging.suspects import names_with_reasons, suspected_names, suspects_in
from packhouse.workflows.judging.verdicts import policies, write_verdicts
from packhouse.workflows.judging.versions import judge_versions
from packhouse.workflows.judging.whole import judge_whole
from packhouse.workflows.services import Services

#: files judged in one unit, about, and those judged by their versions
FILES = 2000
FILES_OF_VERSIONS = 8000
#: records looked at together for what turns, with all their entries
RECORDS = 500
#: overlays of the past dropped in one unit
PAST = 2000
#: names marked dirty in one unit, about: of a frozen channel they are rendered there
MARKED = 100


class _Step(NamedTuple):
    """What is written in one unit on the way of a ruleset."""

    files: int
    names: int
    work: Callable[[Unit], Awaitable[None]]


async def prepare_rulesets(services: Services) -> None:
    """Bring every ruleset into force that a channel waits for, and the index up to those that hold."""
    waiting: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for channel_id, ruleset, assignment in await assignments.preparing(services.db):
        waiting[ruleset][channel_id] = assignment
    for ruleset, assigned in waiting.items():
        await _prepare(services, ruleset, assigned)
    unsettled: dict[tuple[int, int], list[int]] = {}
    for channel_id, ruleset, before in await assignments.settling(services.db):
        unsettled.setdefault((ruleset, before), []).append(channel_id)
    for (ruleset, before), channel_ids in unsettled.items():
        await _settle(services, ruleset, before, channel_ids)


async def prepare_again(services: Services) -> None:
    """Judge anew by "unknown vulnerabilities" once other ecosystems are covered by advisories than before."""
    db = services.db
    covered = await store.covering_now(db)
    if covered == await store.covered(db):
        return
    rules = await policies(db, await verdicts.rulesets_in_use(db))
    concerned = {number for number, policy in rules.items() if policy.has(UnknownVulnerabilities)}

    async def work(unit: Unit) -> None:
        for held in await assignments.hold_channels(unit, await assignments.under(unit, concerned)):
            if held.next_ruleset_id is None:
                await assignments.assign(unit, held.id, held.policy_id, held.ruleset_id)
        await store.set_covered(unit, covered)

    await db.write(work)


async def _prepare(services: Services, ruleset: int, assigned: Mapping[int, int]) -> None:
    """Bring a ruleset into force in channels, given with the assignment of it that each waits for."""
    db = services.db
    await db.write(channels.hold_all)  # who adds a file from here on judges it by this ruleset, too
    policy = (await policies(db, [ruleset]))[ruleset]
    families = {channel_id: await store.families_here(db, channel_id) for channel_id in assigned}
    steps = await _steps(db, families, ruleset, policy)
    await db.write(partial(progress.begin, ruleset_id=ruleset, files=sum(step.files for step in steps)))
    if not await _write(services, steps, ruleset):
        return
    if needs_whole_channel(policy):
        for channel_id, found in families.items():
            for family in found:
                await judge_whole(db, channel_id, family)
    await judge_waiting(services)  # so that what came meanwhile holds from the first moment
    await db.write(partial(_flip, ruleset=ruleset, assigned=assigned))


async def _steps(db: Database, families: Mapping[int, Sequence[str]], ruleset: int, policy: Policy) -> list[_Step]:
    """Return what is to be written before a ruleset holds in channels, given with their families."""
    both = await asyncio.gather(_shared(db, families, ruleset, policy), _own(db, families, ruleset, policy))
    return [step for steps in both for step in steps]


async def _shared(db: Database, families: Mapping[int, Sequence[str]], ruleset: int, policy: Policy) -> list[_Step]:
    """Return how to write what holds wherever a file is."""
    steps: list[_Step] = []
    for family in sorted({family for found in families.values() for family in found}):
        steps += await _judging(db, families, family, ruleset, policy)
    return steps


async def _own(db: Database, families: Mapping[int, Sequence[str]], ruleset: int, policy: Policy) -> list[_Step]:
    """Return how to write the channels' own reasons, but for closures."""
    steps: list[_Step] = []
    if needs_whole_channel(policy):
        return steps
    for channel_id, found in families.items():
        for family in found:
            some = await names_with_reasons(db, channel_id, family, ruleset, policy)
            work = partial(_reason, channel_id=channel_id, family=family, ruleset=ruleset, policy=policy)
            steps += _in_steps(await _names(db, {channel_id: found}, family, some), work, FILES)
    return steps


async def _judging(
    db: Database, families: Mapping[int, Sequence[str]], family: str, ruleset: int, policy: Policy
) -> list[_Step]:
    """Return how to write what the rules about files alone say: of whole versions, where their files are alike."""
    here = {channel_id: found for channel_id, found in families.items() if family in found}
    some = await suspected_names(db, family, ruleset, policy)
    names = await _names(db, here, family, None if some is None else some.names)
    apart = {name for name, _ in names} if some is None else some.apart
    of_versions, of_files = (
        partial(judge, channel_ids=list(here), family=family, ruleset=ruleset, policy=policy)
        for judge in (_judge_versions, _judge)
    )
    return [
        *_in_steps([one for one in names if one[0] not in apart], of_versions, FILES_OF_VERSIONS),
        *_in_steps([one for one in names if one[0] in apart], of_files, FILES),
    ]


async def _names(
    db: Database, families: Mapping[int, Sequence[str]], family: str, some: Collection[str] | None
) -> list[tuple[str, int]]:
    """Return the names of a family (some, if given) in channels that have it, each with how many files."""
    mixed = any(len(found) > 1 for found in families.values())
    return await store.names_in(db, list(families), some, family=family if mixed else None)


def _in_steps(names: Sequence[tuple[str, int]], work: Callable[..., Awaitable[None]], most: int) -> list[_Step]:
    return [_Step(files, len(group), partial(work, names=group)) for group, files in _groups(names, most)]


async def _write(services: Services, steps: Sequence[_Step], ruleset: int) -> bool:
    """Do the steps; False when no channel wants the ruleset any more."""
    names = sum(step.names for step in steps)
    for step in steps:
        services.publisher.expect(names)  # at each, since they end when nobody has wanted them for a while
        if not await services.db.write(partial(_do, step=step, ruleset=ruleset)):
            return False
        await judge_waiting(services)  # what is urgent does not wait for a large channel
    return True


async def _do(unit: Unit, step: _Step, ruleset: int) -> bool:
    """Do a step; False when no channel wants the ruleset any more."""
    if not await assignments.is_wanted(unit, ruleset):
        await progress.end(unit, ruleset)
        return False
    await step.work(unit)
    await progress.add(unit, ruleset, step.files)
    return True


def _groups(names: Sequence[tuple[str, int]], most: int) -> Iterator[tuple[list[str], int]]:
    """Yield names in groups that have about as many files as a unit takes, each with how many."""
    group: list[str] = []
    held = 0
    for name, files in names:
        if held + files > most and group:
            yield group, held
            group, held = [], 0
        group.append(name)
        held += files
    if group:
        yield group, held


async def _judge_versions(
    unit: Unit, channel_ids: Sequence[int], family: str, names: Sequence[str], ruleset: int, policy: Policy
) -> None:
    """Write the same by the versions of packages, for all files of each."""
    left = await judge_versions(unit, channel_ids, family, names, ruleset, policy)
    if left:
        await _judge(unit, channel_ids, family, left, ruleset, policy)


async def _judge(
    unit: Unit, channel_ids: Sequence[int], family: str, names: Sequence[str], ruleset: int, policy: Policy
) -> None:
    """Write what a ruleset says of the files of packages, each once for whatever channels have it."""
    rows = await suspects_in(unit, channel_ids, family, names, ruleset, policy)
    batch = batch_of(rows, await recall(unit, family, rows, [policy]), await python_of(unit, family, rows, [policy]))
    await write_verdicts(unit, rows, batch, {ruleset: policy})


async def _reason(unit: Unit, channel_id: int, family: str, names: Sequence[str], ruleset: int, policy: Policy) -> None:
    """Write a channel's own reasons under a ruleset, unless it does not want that now: then it is not to hold yet."""
    channel = await channels.hold(unit, channel_id)
    if channel is not None and ruleset in (channel.next_ruleset_id, channel.ruleset_id):
        await judge_reasons(unit, channel, family, names, {ruleset: policy})


async def _flip(unit: Unit, ruleset: int, assigned: Mapping[int, int]) -> None:
    """Let a ruleset hold where it was wanted all the time; a channel that had another one meanwhile begins anew."""
    for held in await assignments.hold_channels(unit, assigned):
        again = held.settle_from is not None or held.ruleset_id == ruleset
        before = assignments.EVERYTHING if again else held.ruleset_id
        if await assignments.flip(unit, held.id, ruleset, assigned[held.id], before):
            await changes.note(unit, "channel", held.id)
            await changes.note(unit, "entry", held.id)
    await progress.end(unit, ruleset)


async def _settle(services: Services, ruleset: int, before: int, channel_ids: Sequence[int]) -> None:
    """Mark every name dirty of which an index shows something else than the ruleset says, then publish."""
    db, keys = services.db, set[tuple[int, str, str]]()
    async for some in _turned(db, ruleset, before, channel_ids):
        keys.update(some)
        if len(keys) >= MARKED:
            await db.write(partial(_show_anew, keys=sorted(keys)))
            keys.clear()
        await judge_waiting(services)
    if keys:
        await db.write(partial(_show_anew, keys=sorted(keys)))
    for channel_id in channel_ids:
        await db.write(partial(assignments.settled, channel_id=channel_id, ruleset_id=ruleset, settle_from=before))
        while await db.write(partial(overlays.forget_past, channel_id=channel_id, limit=PAST)):
            pass
        await services.publisher.publish(channel_id)


async def _turned(
    db: Database, ruleset: int, before: int, channel_ids: Sequence[int]
) -> AsyncIterator[list[tuple[int, str, str]]]:
    """Yield (channel, partition, name) of what differs: only what either ruleset says anything against can."""
    if before == assignments.EVERYTHING:
        for channel_id in channel_ids:
            for names, _ in _groups(await store.names_in(db, [channel_id], None), FILES):
                yield await store.keys_of(db, channel_id, names)
        return
    after = 0
    while records := await store.judged_records(db, channel_ids, [before, ruleset], after, RECORDS):
        yield await store.turned(db, channel_ids, records, before)
        after = records[-1]


async def _show_anew(unit: Unit, keys: Sequence[tuple[int, str, str]]) -> None:
    by_channel: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for channel_id, partition, name in keys:
        by_channel[channel_id].append((partition, name))
    for channel_id in sorted(by_channel):
        channel = await channels.hold(unit, channel_id)
        if channel is not None:
            await show_anew(unit, channel, by_channel[channel_id])
