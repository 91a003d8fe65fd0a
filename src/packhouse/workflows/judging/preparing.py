"""A ruleset on its way into force: its verdicts are written while nobody refers to it, then one flip, then the index.

The gate obeys with the flip. What the index still shows by the ruleset before is remembered until every name that
differs is dirty, so that whoever goes on after a crash knows what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial

from packhouse.catalog import changes
from packhouse.catalog.channels import store as channels
from packhouse.catalog.policies import overlays, verdicts
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
from packhouse.workflows.judging.whole import judge_whole
from packhouse.workflows.services import Services

#: files judged in one unit, about
FILES = 2000
#: records looked at together for what turns, with all their entries
RECORDS = 500
#: overlays of the past dropped in one unit
PAST = 2000


async def prepare_rulesets(services: Services) -> None:
    """Bring every ruleset into force that a channel waits for, and the index up to those that hold."""
    waiting: dict[int, list[int]] = {}
    for channel_id, ruleset in await assignments.preparing(services.db):
        waiting.setdefault(ruleset, []).append(channel_id)
    for ruleset, channel_ids in waiting.items():
        await _prepare(services, ruleset, channel_ids)
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


async def _prepare(services: Services, ruleset: int, channel_ids: Sequence[int]) -> None:
    db = services.db
    await db.write(channels.hold_all)  # who adds a file from here on judges it by this ruleset, too
    policy = (await policies(db, [ruleset]))[ruleset]
    families = {channel_id: await store.families_here(db, channel_id) for channel_id in channel_ids}
    for family in sorted({family for found in families.values() for family in found}):
        await _write(services, channel_ids, family, ruleset, policy)
    for channel_id, found in families.items():
        for family in found:
            if needs_whole_channel(policy):
                await judge_whole(db, channel_id, family)
            else:
                await _write_reasons(services, channel_id, family, ruleset, policy)
    await judge_waiting(services)  # so that what came meanwhile holds from the first moment
    await db.write(partial(_flip, ruleset=ruleset, channel_ids=channel_ids))


async def _write(services: Services, channel_ids: Sequence[int], family: str, ruleset: int, policy: Policy) -> None:
    """Write what a ruleset says of the files of some channels, each once."""
    some = await suspected_names(services.db, family, ruleset, policy)
    for names in _groups(await store.names_in(services.db, channel_ids, some)):
        work = partial(_judge, channel_ids=channel_ids, family=family, names=names, ruleset=ruleset, policy=policy)
        if not await services.db.write(work):
            return
        await judge_waiting(services)  # what is urgent does not wait for a large channel


async def _write_reasons(services: Services, channel_id: int, family: str, ruleset: int, policy: Policy) -> None:
    """Write a channel's own reasons under a ruleset."""
    some = await names_with_reasons(services.db, channel_id, family, ruleset, policy)
    for names in _groups(await store.names_in(services.db, [channel_id], some)):
        work = partial(_reason, channel_id=channel_id, family=family, names=names, ruleset=ruleset, policy=policy)
        if not await services.db.write(work):
            return
        await judge_waiting(services)


def _groups(names: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """Yield names in groups that have about as many files as a unit takes."""
    group: list[str] = []
    room = FILES
    for name, files in names:
        if room < files and group:
            yield group
            group, room = [], FILES
        group.append(name)
        room -= files
    if group:
        yield group


async def _judge(
    unit: Unit, channel_ids: Sequence[int], family: str, names: Sequence[str], ruleset: int, policy: Policy
) -> bool:
    """Write what a ruleset says of packages; False when no channel wants it any more."""
    if not await assignments.is_wanted(unit, ruleset):
        return False
    rows = await suspects_in(unit, channel_ids, family, names, ruleset, policy)
    batch = batch_of(rows, await recall(unit, family, rows, [policy]), await python_of(unit, family, rows, [policy]))
    await write_verdicts(unit, rows, batch, {ruleset: policy})
    return True


async def _reason(unit: Unit, channel_id: int, family: str, names: Sequence[str], ruleset: int, policy: Policy) -> bool:
    channel = await channels.hold(unit, channel_id)
    if channel is None or ruleset not in (channel.next_ruleset_id, channel.ruleset_id):
        return False
    await judge_reasons(unit, channel, family, names, {ruleset: policy})
    return True


async def _flip(unit: Unit, ruleset: int, channel_ids: Sequence[int]) -> None:
    for held in await assignments.hold_channels(unit, channel_ids):
        again = held.settle_from is not None or held.ruleset_id == ruleset
        before = assignments.EVERYTHING if again else held.ruleset_id
        if await assignments.flip(unit, held.id, ruleset, before):
            await changes.note(unit, "channel", held.id)
            await changes.note(unit, "entry", held.id)


async def _settle(services: Services, ruleset: int, before: int, channel_ids: Sequence[int]) -> None:
    """Mark every name dirty of which an index shows something else than the ruleset says, then publish."""
    db = services.db
    async for keys in _turned(services.db, ruleset, before, channel_ids):
        if keys:
            await db.write(partial(_show_anew, keys=keys))
        await judge_waiting(services)
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
            for names in _groups(await store.names_in(db, [channel_id], None)):
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
