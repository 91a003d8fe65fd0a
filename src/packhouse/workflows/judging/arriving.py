"""Whoever adds files to a channel, or takes some away, judges them in the same unit: nothing is shown unjudged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.vulnerabilities import news, unjudged
from packhouse.catalog.vulnerabilities.findings import Found
from packhouse.core.db import Unit
from packhouse.workflows.indexing.subtracting import show_anew
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.learning import learn
from packhouse.workflows.judging.naming import keep_names
from packhouse.workflows.judging.reasons import judge_reasons
from packhouse.workflows.judging.suspects import split
from packhouse.workflows.judging.verdicts import policies, write_verdicts


async def judge_arrivals(
    unit: Unit, channel: Channel, family: str, record_ids: Collection[int], *, known: bool = False
) -> None:
    """Judge files that the unit added to a channel, or gave other records or bytes.

    `channel` is as the unit holds it, so that its rulesets stay. What changes of other files is marked dirty.
    `known`: they were there, and only their bytes are new.
    """
    rows = await store.here_of_records(unit, channel.id, family, sorted(set(record_ids)))
    if not rows:
        return
    versions: dict[str, set[str]] = {}
    for row in rows:
        versions.setdefault(row.name, set()).add(row.version)
    await keep_names(unit, family, rows)
    await _tell_news(unit, channel, family, await learn(unit, family, versions))
    rules = await policies(unit, channel.rulesets)
    every = list(rules.values())
    knowledge = await recall(unit, family, rows, every)
    hideable, others = split(rows, knowledge, every)
    batch = batch_of(hideable, knowledge, await python_of(unit, family, hideable, every))
    toggled = await write_verdicts(unit, hideable, batch, rules, others)
    await _tell_others(unit, channel, family, toggled)
    arrived = {row.record_id for row in rows}
    dirty = await judge_reasons(unit, channel, family, sorted(versions), rules, arrived, arrived if known else ())
    await show_anew(unit, channel, dirty)


async def _tell_news(unit: Unit, channel: Channel, family: str, new: Sequence[Found]) -> None:
    """Let those be told who have a version elsewhere of which it was not known yet; who adds it here sees it."""
    elsewhere = await store.versions_elsewhere(unit, channel.id, family, {one.name for one in new}) if new else ()
    told = [one for one in new if (one.name, one.version) in elsewhere]
    await news.add(unit, [(one.family, one.name, one.version, one.vulnerability_id) for one in told])


async def _tell_others(unit: Unit, channel: Channel, family: str, toggled: Mapping[int, Collection[int]]) -> None:
    """Let the index of other channels follow, soon: what was known only now holds for the same files there."""
    names: set[str] = set()
    for number, records in toggled.items():
        shown = await store.showing(unit, number, records)
        names |= {name for channel_id, _, name in shown if channel_id != channel.id}
    await unjudged.add(unit, [(unjudged.UNTOLD + family, name) for name in names])


async def judge_departures(unit: Unit, channel: Channel, names: Collection[tuple[str, str]]) -> None:
    """Judge what is left of packages (family, name) after the unit took files of them out of a channel."""
    families = {family for family, _ in names}
    await unjudged.add(unit, await unjudged.named(unit, families) & set(names))
    rules = await policies(unit, channel.rulesets)
    for family in sorted(families):
        here = sorted({name for other, name in names if other == family})
        dirty = await judge_reasons(unit, channel, family, here, rules)
        await show_anew(unit, channel, dirty)
