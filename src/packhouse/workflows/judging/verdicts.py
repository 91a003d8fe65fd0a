"""Writes verdicts: of each ruleset on each file, by the rules that look at the file alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from packhouse.catalog.policies import verdicts
from packhouse.catalog.policies.verdicts import NO_POLICY, Pair, Verdict
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.security.policies.batch import Batch
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy, decide
from packhouse.security.policies.policy import NO_POLICY as NO_RULES
from packhouse.security.policies.policy import decode
from packhouse.workflows.judging.store import FileRow


@lru_cache(maxsize=256)
def policy_of(text: str) -> Policy:
    """Return the rules of a stored ruleset; the empty text stands for what holds without a policy."""
    return compile_rules(decode(text) if text else NO_RULES)


async def policies(reader: Reader, rulesets: Iterable[int]) -> dict[int, Policy]:
    """Return the rules of these rulesets by number."""
    wanted = set(rulesets)
    texts = await verdicts.rules_of(reader, wanted - {NO_POLICY}) if wanted - {NO_POLICY} else {}
    return {number: policy_of("" if number == NO_POLICY else texts[number]) for number in sorted(wanted)}


async def write_verdicts(
    unit: Unit,
    rows: Sequence[FileRow],
    batch: Batch,
    policies: Mapping[int, Policy],
    others: Sequence[FileRow] = (),
) -> dict[int, set[int]]:
    """Let each ruleset say of files what it says now; return the records of which it hides something else than before.

    By ruleset. What stays hidden by the same rule keeps since when. `others` are files that no rule can hide.
    """
    every = [*rows, *others]
    before: dict[int, dict[Pair, Verdict]] = {number: {} for number in policies}
    for one in await verdicts.of_records(unit, {row.record_id for row in every}, policies):
        before[one.ruleset_id][one.record_id, one.content_id] = one
    toggled: dict[int, set[int]] = {}
    gone: list[tuple[int, Pair]] = []
    new: list[Verdict] = []
    for number, policy in policies.items():
        hidden = _hidden_pairs(rows, batch, policy, unit.now)
        known = before[number]
        shown = [row.pair for row in every if row.pair in known and row.pair not in hidden] if known else []
        gone += [(number, pair) for pair in shown]
        toggled[number] = {pair[0] for pair in shown}
        for pair, rule in hidden.items():
            if pair not in known:
                toggled[number].add(pair[0])
            elif known[pair].rule == rule:
                continue
            new.append(Verdict(number, *pair, rule, unit.now))
    await verdicts.replace(unit, gone, new)
    return toggled


def _hidden_pairs(rows: Sequence[FileRow], batch: Batch, policy: Policy, now: int) -> dict[Pair, str]:
    """Return the files that the rules which look at the file alone hide, each with its rule."""
    said = zip(rows, hidden_by(batch, policy, now), strict=True)
    return {row[:2]: rule for row, rule in said if rule is not None}


def hidden_by(batch: Batch, policy: Policy, now: int) -> list[str | None]:
    """Return for each file the rule that hides it, of those that look at the file alone."""
    part = policy.part("file")
    keys = np.array([*(rule.key for rule in part.rules), None], object)
    found: list[str | None] = keys[decide(batch, Context(), part, now).rule].tolist()
    return found
