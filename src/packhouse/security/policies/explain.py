"""Why one file may be seen or not: every rule in its order, what it saw, and the first that hides.

An explanation says the same as `decide` does, since it asks the same rules about the same file.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from packhouse.security.policies.batch import Batch
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy, reason
from packhouse.security.policies.waivers import Waiver, lifted

Answer = Literal["passes", "hides", "does_not_apply"]


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule and its answer. Evidence and the end of hiding (microseconds) come with those that hide."""

    rule: str
    answer: Answer
    evidence: dict[str, Any] = {}
    until: int | None = None


class Explanation(msgspec.Struct, frozen=True):
    """What was decided about a file, and from what."""

    seen: bool
    hidden_by: str | None  #: the first rule that hides it, waived or not
    waived_by: int | None  #: the id of the waiver by which it may be seen nevertheless
    asked: list[Asked]


def explain(
    batch: Batch, row: int, context: Context, policy: Policy, now: int, waivers: tuple[Waiver, ...] = ()
) -> Explanation:
    """Return why a file of the batch may be seen or not."""
    one = batch.take(np.array([row]))
    asked = [_asked(one, context, policy, number, now) for number in range(len(policy.rules))]
    first = next((each.rule for each in asked if each.answer == "hides"), None)
    found = lifted(one, context, policy, waivers, now) if first else None
    waived_by = found.waiver_of(0) if found is not None else None
    return Explanation(first is None or waived_by is not None, first, waived_by, asked)


def _asked(one: Batch, context: Context, policy: Policy, number: int, now: int) -> Asked:
    rule = policy.rules[number]
    if not rule.applies(one.family):
        return Asked(rule.key, "does_not_apply")
    if not rule.hides(one, context, now)[0]:
        return Asked(rule.key, "passes")
    why = reason(one, 0, context, rule, now)
    return Asked(rule.key, "hides", why.evidence, why.until)
