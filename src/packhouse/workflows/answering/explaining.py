"""Why a file may be seen in a channel or not: the same rules asked again, about what is known now (invariant I6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.entries import Entry
from packhouse.core.clock import to_iso
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Decisions, Policy, decide, reason
from packhouse.security.policies.explain import Explanation, explain
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.waivers import Waiver, lifted
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import circumstances, context_here
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.store import FileRow, Shown
from packhouse.workflows.judging.verdicts import policies


class Why(msgspec.Struct, frozen=True):
    """What the rules of a channel say of one file, and which version of its package they let pass."""

    row: FileRow
    explanation: Explanation
    newest_passing: str | None  #: the newest version of which a file may be seen; None: there is none
    newest_file: str | None  #: `<partition>/<file name>` of one, in the same partition if possible


class Judged(msgspec.Struct, frozen=True, eq=False):
    """The files of some packages of a channel with all that its ruleset is asked about them."""

    rows: Sequence[FileRow]
    batch: Batch
    context: Context
    policy: Policy
    waivers: Sequence[Waiver]
    decisions: Decisions
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]]  #: which files may be seen, waivers and all


async def judge_packages(reader: Reader, channel: Channel, family: str, names: Sequence[str], now: int) -> Judged:
    """Ask the ruleset that holds in a channel about all files of some packages; nothing is written."""
    rows = await store.here_of_names(reader, channel.id, family, names)
    policy = (await policies(reader, [channel.ruleset_id]))[channel.ruleset_id]
    batch = batch_of(rows, await recall(reader, family, rows), await python_of(reader, family, rows, [policy]))
    found = await circumstances(reader, channel.id, family, names, now)
    context = await context_here(reader, channel.id, channel.ruleset_id, rows, batch, policy, found, now)
    decisions = decide(batch, context, policy, now)
    seen = decisions.seen.copy()
    seen[lifted(batch, context, policy, found.waivers, now).rows] = True
    return Judged(rows, batch, context, policy, found.waivers, decisions, seen)


def why(judged: Judged, number: int) -> Why:
    """Return what is said of one of the files, by its number in `rows`."""
    batch, row = judged.batch, judged.rows[number]
    now = judged.decisions.now
    found = explain(batch, number, judged.context, judged.policy, now, tuple(judged.waivers))
    order = registry.get(batch.family).order
    passing = [other for other in np.flatnonzero(judged.seen).tolist() if judged.rows[other].name == row.name]
    best = max(
        passing,
        key=lambda other: (
            order(judged.rows[other].version),
            judged.rows[other].partition == row.partition,
            judged.rows[other].build_number,
            judged.rows[other].filename,
        ),
        default=None,
    )
    if best is None:
        return Why(row, found, None, None)
    newest = judged.rows[best]
    return Why(row, found, newest.version, f"{newest.partition}/{newest.filename}")


async def refusal_of(reader: Reader, channel: Channel, entry: Entry, now: int) -> PackhouseError:
    """Return the refusal of a hidden file: which rule, what it saw, since when, until when, and what would pass.

    Only this file is looked at, whatever else its package has: anybody may ask for it, as often as they like.
    """
    ckey = f"{entry.partition}/{entry.filename}"
    evidence = await _evidence(reader, channel, entry, now)
    newest = await store.newest_shown(reader, channel.id, entry.family, entry.name, entry.partition)
    return PackhouseError(
        "hidden",
        f"{channel.path}/{ckey} is held back by the rule {entry.rule!r}{_because(evidence)}.",
        _advice(newest, entry),
        rule=entry.rule,
        evidence={name: value for name, value in evidence.items() if name != "text"},
        since=to_iso(entry.hidden_since) if entry.hidden_since else None,
        until=to_iso(entry.hidden_until) if entry.hidden_until else None,
        newest_passing=newest.version if newest else None,
        newest_file=f"{newest.partition}/{newest.filename}" if newest else None,
    )


async def _evidence(reader: Reader, channel: Channel, entry: Entry, now: int) -> dict[str, Any]:
    """Return what the rule saw that is said to hide a file; nothing when it has changed its mind meanwhile."""
    found = await store.here_of_records(reader, channel.id, entry.family, [entry.record_id])
    rows = [row for row in found if (row.partition, row.filename) == (entry.partition, entry.filename)]
    policy = (await policies(reader, [channel.ruleset_id]))[channel.ruleset_id]
    rules = [rule for rule in policy.rules if rule.key == entry.rule]
    if not rows or not rules:
        return {}
    batch = batch_of(
        rows, await recall(reader, entry.family, rows, [policy]), await python_of(reader, entry.family, rows, [policy])
    )
    around = await circumstances(reader, channel.id, entry.family, [entry.name], now)
    context = await context_here(reader, channel.id, channel.ruleset_id, rows, batch, policy, around, now)
    hiding = [rule for rule in rules if rule.hides(batch, context, now)[0]]
    # rules that compare files hide nothing when asked about one alone, and yet say the same of it
    rule = next(iter(hiding), rules[0])
    if isinstance(rule, Installable) and not hiding:
        return {}
    return reason(batch, 0, context, rule, now).evidence


def _because(evidence: dict[str, Any]) -> str:
    return f": {evidence['text']}" if evidence.get("text") else ""


def _advice(newest: Shown | None, entry: Entry) -> str:
    if entry.hidden_until:
        return f"It can be had from {to_iso(entry.hidden_until)} on."
    if newest is not None:
        return f"Version {newest.version} may be had."
    return "No version of it may be had here; ask the owner of the channel."
