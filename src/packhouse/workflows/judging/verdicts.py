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
    unit: Unit, rows: Sequence[FileRow], batch: Batch, policies: Mapping[int, Policy]
) -> dict[int, set[int]]:
    """Let each ruleset say of files what it says now; return the records of which it hides something else than before.

    By ruleset. What stays hidden by the same rule keeps since when.
    """
    before = {
        (one.ruleset_id, one.record_id, one.content_id): one
        for one in await verdicts.of_records(unit, {row.record_id for row in rows})
    }
    toggled: dict[int, set[int]] = {}
    gone: list[tuple[int, Pair]] = []
    new: list[Verdict] = []
    for number, policy in policies.items():
        hidden = hidden_by(batch, policy, unit.now)
        toggled[number] = set()
        for row, rule in zip(rows, hidden, strict=True):
            known = before.get((number, *row.pair))
            if rule is None and known is not None:
                gone.append((number, row.pair))
            elif rule is not None and (known is None or known.rule != rule):
                new.append(Verdict(number, *row.pair, rule, unit.now))
            if (rule is None) != (known is None):
                toggled[number].add(row.record_id)
    await verdicts.replace(unit, gone, new)
    return toggled


def hidden_by(batch: Batch, policy: Policy, now: int) -> list[str | None]:
    """Return for each file the rule that hides it, of those that look at the file alone."""
    part = policy.part("file")
    keys = np.array([*(rule.key for rule in part.rules), None], object)
    found: list[str | None] = keys[decide(batch, Context(), part, now).rule].tolist()
    return found
