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
from packhouse.security.policies.decide import Decisions, Policy, decide
from packhouse.security.policies.explain import Explanation, explain
from packhouse.security.policies.waivers import Waiver, lifted
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import circumstances, context_here
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.store import FileRow
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
    """Return the refusal of a hidden file: which rule, what it saw, since when, until when, and what would pass."""
    ckey = f"{entry.partition}/{entry.filename}"
    judged = await judge_packages(reader, channel, entry.family, [entry.name], now)
    place = {(row.partition, row.filename): number for number, row in enumerate(judged.rows)}
    number = place.get((entry.partition, entry.filename))
    answer = why(judged, number) if number is not None else None
    asked = [one for one in answer.explanation.asked if one.rule == entry.rule] if answer else []
    evidence = asked[0].evidence if asked else {}
    return PackhouseError(
        "hidden",
        f"{channel.path}/{ckey} is held back by the rule {entry.rule!r}{_because(evidence)}.",
        _advice(answer, entry),
        rule=entry.rule,
        evidence={name: value for name, value in evidence.items() if name != "text"},
        since=to_iso(entry.hidden_since) if entry.hidden_since else None,
        until=to_iso(entry.hidden_until) if entry.hidden_until else None,
        newest_passing=answer.newest_passing if answer else None,
        newest_file=answer.newest_file if answer else None,
    )


def _because(evidence: dict[str, Any]) -> str:
    return f": {evidence['text']}" if evidence.get("text") else ""


def _advice(answer: Why | None, entry: Entry) -> str:
    if entry.hidden_until:
        return f"It can be had from {to_iso(entry.hidden_until)} on."
    if answer is not None and answer.newest_passing is not None:
        return f"Version {answer.newest_passing} may be had."
    return "No version of it may be had here; ask the owner of the channel."
