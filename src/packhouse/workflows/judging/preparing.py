"""A ruleset on its way into force: its verdicts are written while nobody refers to it, then one flip, then the index.

The gate obeys with the flip. What the index still shows by the ruleset before is remembered until every name that
differs is dirty, so that whoever goes on after a crash knows what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from packhouse.catalog import changes
from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies import overlays, verdicts
from packhouse.catalog.policies import store as assignments
from packhouse.catalog.policies.verdicts import Pair
from packhouse.core.db import Unit
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.rules.unknown import UnknownVulnerabilities
from packhouse.security.policies.survey import needs_whole_channel
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.reasons import judge_reasons
from packhouse.workflows.judging.rejudging import judge_waiting
from packhouse.workflows.judging.verdicts import policies, write_verdicts
from packhouse.workflows.judging.whole import judge_whole
from packhouse.workflows.services import Services

#: files judged in one unit, about, and names looked at for it
FILES = 2000
NAMES = 500
#: overlays of the past dropped in one unit
PAST = 2000


async def prepare_rulesets(services: Services) -> None:
    """Bring every ruleset into force that a channel waits for, and the index up to those that hold."""
    waiting: dict[int, list[int]] = {}
    for channel_id, ruleset in await assignments.preparing(services.db):
        waiting.setdefault(ruleset, []).append(channel_id)
    for ruleset, channel_ids in waiting.items():
        await _prepare(services, ruleset, channel_ids)
    for channel_id, ruleset, before in await assignments.settling(services.db):
        await _settle(services, channel_id, ruleset, before)


async def prepare_again(services: Services) -> None:
    """Judge anew by "unknown vulnerabilities" once other ecosystems are covered by advisories than before."""
    db = services.db
    covered = await store.covered(db)
    if covered == await store.covered_before(db):
        return
    rules = await policies(db, await verdicts.rulesets_in_use(db))
    concerned = {number for number, policy in rules.items() if policy.has(UnknownVulnerabilities)}

    async def work(unit: Unit) -> None:
        for held in await assignments.hold_channels(unit, await assignments.under(unit, concerned)):
            if held.next_ruleset_id is None:
                await assignments.assign(unit, held.id, held.policy_id, held.ruleset_id)
        await store.set_covered(unit, covered)

    await db.write(work)


async def _prepare(services: Services, ruleset: int, channel_ids: Sequence[int]) -> None:
    db = services.db
    await db.write(store.barrier)  # who adds a file from here on judges it by this ruleset, too
    policy = (await policies(db, [ruleset]))[ruleset]
    judged: set[Pair] = set()
    for channel_id in channel_ids:
        for family in await store.families_here(db, channel_id):
            await _judge_channel(services, channel_id, family, ruleset, policy, judged)
            if needs_whole_channel(policy):
                await judge_whole(db, channel_id, family)
    await judge_waiting(services)  # so that what came meanwhile holds from the first moment
    await db.write(partial(_flip, ruleset=ruleset, channel_ids=channel_ids))


async def _judge_channel(
    services: Services, channel_id: int, family: str, ruleset: int, policy: Policy, judged: set[Pair]
) -> None:
    after = ""
    while names := await store.names_here(services.db, channel_id, family, after, NAMES):
        for some in _groups(names):
            work = partial(
                _judge, channel_id=channel_id, family=family, names=some, ruleset=ruleset, policy=policy, judged=judged
            )
            judged |= await services.db.write(work)
        after = names[-1][0]
        await judge_waiting(services)  # what is urgent does not wait for a large channel


def _groups(names: Sequence[tuple[str, int]]) -> list[list[str]]:
    """Return names in groups that have about as many files as a unit takes."""
    groups: list[list[str]] = [[]]
    room = FILES
    for name, files in names:
        if room < files and groups[-1]:
            groups.append([])
            room = FILES
        groups[-1].append(name)
        room -= files
    return groups


async def _judge(
    unit: Unit,
    channel_id: int,
    family: str,
    names: Sequence[str],
    ruleset: int,
    policy: Policy,
    judged: set[Pair],
) -> set[Pair]:
    """Write what a ruleset says of packages in a channel; return which files that are."""
    channel = await channels.hold(unit, channel_id)
    if channel is None or ruleset not in (channel.next_ruleset_id, channel.ruleset_id):
        return set()
    rows = await store.here_of_names(unit, channel_id, family, names)
    new = [row for row in rows if row.pair not in judged]
    if new:
        batch = batch_of(new, await recall(unit, family, new), await python_of(unit, family, new, [policy]))
        await write_verdicts(unit, new, batch, {ruleset: policy})
    if not needs_whole_channel(policy):
        await judge_reasons(unit, channel, family, names, {ruleset: policy})
    return {row.pair for row in new}


async def _flip(unit: Unit, ruleset: int, channel_ids: Sequence[int]) -> None:
    for held in await assignments.hold_channels(unit, channel_ids):
        again = held.settle_from is not None or held.ruleset_id == ruleset
        before = assignments.EVERYTHING if again else held.ruleset_id
        if await assignments.flip(unit, held.id, ruleset, before):
            await changes.note(unit, "channel", held.id)
            await changes.note(unit, "entry", held.id)


async def _settle(services: Services, channel_id: int, ruleset: int, before: int) -> None:
    """Mark every name dirty of which the index shows something else than the ruleset says, then publish."""
    db = services.db
    for family in await store.families_here(db, channel_id):
        after = ""
        while names := await store.names_here(db, channel_id, family, after, NAMES):
            some = [name for name, _ in names]
            dirty = await store.turned(db, channel_id, family, some, before)
            if dirty:
                await db.write(partial(_show_anew, channel_id=channel_id, keys=dirty))
            after = names[-1][0]
            await judge_waiting(services)
    await db.write(partial(assignments.settled, channel_id=channel_id, ruleset_id=ruleset, settle_from=before))
    while await db.write(partial(overlays.forget_past, channel_id=channel_id, limit=PAST)):
        pass
    await services.publisher.publish(channel_id)


async def _show_anew(unit: Unit, channel_id: int, keys: Sequence[tuple[str, str]]) -> None:
    channel = await channels.hold(unit, channel_id)
    if channel is not None:
        await show_anew(unit, channel, keys)
