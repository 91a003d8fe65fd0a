"""A channel's own reasons, under its ruleset: rules that look at what else it has, at arrival and age, and waivers.

They are written as overlays. Rules that need the whole channel (closures) are asked by `whole`, a moment later; until
then a file that arrives is judged as if nobody needed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.policies import overlays
from packhouse.catalog.policies.overlays import Overlay
from packhouse.catalog.policies.verdicts import Pair
from packhouse.catalog.vulnerabilities import unjudged
from packhouse.core.db import Unit
from packhouse.formats import registry
from packhouse.security.policies.batch import NOWHEN, Batch, Ints
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Decisions, Policy, decide
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.survey import needs_whole_channel
from packhouse.security.policies.waivers import Waiver, lifted
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import Circumstances, circumstances, context_here
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.suspects import with_reasons
from packhouse.workflows.judging.verdicts import hidden_by

Key = tuple[str, str]  # partition and name in the index


async def judge_reasons(
    unit: Unit,
    channel: Channel,
    family: str,
    names: Collection[str],
    policies: Mapping[int, Policy],
    arrived: Collection[int] | None = None,
    known: Collection[int] = (),
) -> set[Key]:
    """Let the overlays of packages be what the channel's rulesets say now; return what of the index changes.

    `arrived` are the records of files that were not there before, if nothing else changed; `known` those of them that
    were there, without their bytes: what closures said of them stands until they are worked out again.
    """
    found = await circumstances(unit, channel.id, family, names, unit.now)
    waived = _waived(found, family)
    changed: set[Key] = set()
    for number, policy in policies.items():
        matter = waived | await with_reasons(unit, channel.id, number, policy, family, names, arrived, found.reserved)
        if not matter:
            continue
        rows = await store.here_of_names(unit, channel.id, family, sorted(matter))
        new: set[int] = set()
        if needs_whole_channel(policy):
            await unjudged.add(unit, [(unjudged.WHOLE + family, str(channel.id))])
            rows = [row for row in rows if row.record_id in (arrived or ())]
            new = {row.record_id for row in rows} - set(known)
        batch = batch_of(
            rows, await recall(unit, family, rows, [policy]), await python_of(unit, family, rows, [policy])
        )
        context = await context_here(unit, channel.id, number, rows, batch, policy, found, unit.now, new)
        wanted = wanted_reasons(channel.id, number, _pairs(rows), batch, context, policy, found.waivers, unit.now)
        keys = await write_reasons(unit, channel.id, number, rows, wanted)
        if number == channel.ruleset_id:
            changed |= keys
    return changed


def _waived(found: Circumstances, family: str) -> set[str]:
    """Return the packages that waivers are about."""
    kind = registry.get(family)
    return {str(kind.matcher(waiver.spec).name) for waiver in found.waivers}


async def write_reasons(
    unit: Unit, channel_id: int, ruleset_id: int, rows: Sequence[FileRow], wanted: Mapping[Pair, Overlay]
) -> set[Key]:
    """Let these be the overlays of files; return what of the index changes. What stays as it is keeps since when."""
    records = {row.record_id for row in rows}
    before = {one.pair: one for one in await overlays.of_records(unit, channel_id, ruleset_id, records)}
    here = {row.pair for row in rows}
    # with its bytes a file is another pair: what was said of it without them has been heard
    past = {(row.record_id, 0) for row in rows if row.content_id}
    gone = [one for pair, one in before.items() if pair in here | past and pair not in wanted]
    new: list[Overlay] = []
    turned = {one.pair for one in gone}
    for pair in here & wanted.keys():
        one, known = wanted[pair], before.get(pair)
        if known is not None and known.rule == one.rule:
            one = one._replace(since=known.since)
        else:
            turned.add(pair)
        if one != known:
            new.append(one)
    await overlays.replace(unit, gone, new)
    return {(row.partition, row.name) for row in rows if row.pair in turned}


def wanted_reasons(
    channel_id: int,
    ruleset_id: int,
    pair_of: Callable[[int], Pair],
    batch: Batch,
    context: Context,
    policy: Policy,
    waived: Sequence[Waiver],
    now: int,
) -> dict[Pair, Overlay]:
    """Return the overlays that files should have, by pair; most have none. `pair_of` tells that of a row."""
    decisions = decide(batch, context, policy, now)
    by_file = hidden_by(batch, policy, now)
    until = _ends(decisions)
    places = context.broken.find(batch).tolist()
    found: dict[Pair, Overlay] = {}
    for number in np.flatnonzero(~decisions.seen).tolist():
        if by_file[number] is None:
            rule = policy.rules[int(decisions.rule[number])]
            lost = context.missing[places[number]] if isinstance(rule, Installable) else ""
            end = int(until[number])
            record, content = pair = pair_of(number)
            found[pair] = Overlay(
                channel_id, ruleset_id, record, content, rule.key, lost, now, None if end == NOWHEN else end
            )
    passing = lifted(batch, context, policy, waived, now)
    for number, end in zip(passing.rows.tolist(), passing.until.tolist(), strict=True):
        record, content = pair = pair_of(number)
        found[pair] = Overlay(channel_id, ruleset_id, record, content, "", "", now, end)
    return found


def _pairs(rows: Sequence[FileRow]) -> Callable[[int], Pair]:
    return lambda number: rows[number].pair


def _ends(decisions: Decisions) -> Ints:
    """Return until when each file is hidden, where time alone decides."""
    until = np.full(len(decisions.batch), NOWHEN, np.int64)
    for number, rule in enumerate(decisions.policy.rules):
        ends = rule.until(decisions.batch, decisions.context, decisions.now)
        if ends is not None:
            until = np.where(decisions.rule == number, ends, until)
    return until
