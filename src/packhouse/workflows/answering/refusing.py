"""Why a hidden file is refused: the same rule asked again, about what is known now (invariant I6)."""

from __future__ import annotations

from typing import Any

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages.entries import Entry
from packhouse.core.clock import to_iso
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.security.policies.decide import reason
from packhouse.security.policies.rules.installable import Installable
from packhouse.workflows.judging import store
from packhouse.workflows.judging.batches import batch_of, python_of
from packhouse.workflows.judging.contexts import circumstances, context_here
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.store import Shown
from packhouse.workflows.judging.verdicts import policies


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
