"""The one place that says whether a file may be seen: pure, and the same for one file as for a million.

Rules are asked in this order, and the first that hides a file names the reason:

 1. malware and quarantine, whatever the policy says else; names reserved against dependency confusion
 2. platform   3. licence   4. window of dates   5. signature   6. legacy archive form
 7. names: only these, and with `include_dependencies` what they need, as far as it passes all the rest
 8. vulnerabilities: by score and status, combined with "and" or "or"; the allowlist is not looked at
 9. excluded names, but for the exceptions to them, which override nothing else
10. versions of Python, install-time code, unknown vulnerabilities, minimum age
11. the newest version only; then what can no longer be installed

All must let a file pass, so that the order decides only which reason is told, but for 11, which look at what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from packhouse.core.stopping import checkpoint
from packhouse.security.policies.batch import NOWHEN, Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Fact, Lookup, Reason, Rule, Scope

SEEN = -1


class Policy:
    """Rules in the order in which they are asked."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)

    def __bool__(self) -> bool:
        """Whether there is anything to ask at all."""
        return bool(self.rules)

    def part(self, scope: Scope) -> Policy:
        """Return the rules that look at the file alone ("file"), or those that need the channel ("channel")."""
        return Policy(rule for rule in self.rules if rule.scope == scope)

    @property
    def hides_only(self) -> frozenset[Fact] | None:
        """What a file must have before a rule can hide it; None: any file may be hidden."""
        facts = {rule.hides_only for rule in self.rules}
        return None if None in facts else frozenset(fact for fact in facts if fact is not None)

    @property
    def looks_up(self) -> frozenset[Lookup]:
        """What has to be looked up of files for its rules."""
        return frozenset(rule.looks_up for rule in self.rules if rule.looks_up is not None)

    def without(self, *kinds: type[Rule]) -> Policy:
        """Return the policy but for rules of some kinds."""
        return Policy(rule for rule in self.rules if not isinstance(rule, kinds))

    def has(self, *kinds: type[Rule]) -> bool:
        """Say whether there is a rule of one of these kinds."""
        return any(isinstance(rule, kinds) for rule in self.rules)


class Decisions(msgspec.Struct, frozen=True, eq=False):
    """What was decided of each file, with all it was based on, so that it can be replayed."""

    batch: Batch
    context: Context
    policy: Policy
    now: int
    rule: NDArray[np.int8]  #: index into `policy.rules`, or `SEEN`

    @property
    def seen(self) -> Bools:
        """Which files may be seen."""
        seen: Bools = self.rule == SEEN
        return seen

    def reason(self, row: int) -> Reason | None:
        """Return why a file stays out, or None when it may be seen."""
        number = int(self.rule[row])
        return None if number == SEEN else reason(self.batch, row, self.context, self.policy.rules[number], self.now)

    def counts(self) -> Counter[str]:
        """Return how many files each rule, by its key, keeps out."""
        counted = np.bincount(self.rule[~self.seen], minlength=len(self.policy.rules)).tolist()
        found: Counter[str] = Counter()
        for rule, number in zip(self.policy.rules, counted, strict=True):
            if number:
                found[rule.key] += number
        return found


def decide(batch: Batch, context: Context, policy: Policy, now: int) -> Decisions:
    """Return for each file which rule keeps it out, if any. `now` is in microseconds."""
    first = np.full(len(batch), SEEN, np.int8)
    for number, rule in enumerate(policy.rules):
        checkpoint()
        if rule.applies(batch.family):
            first[(first == SEEN) & rule.hides(batch, context, now)] = number
    return Decisions(batch, context, policy, now, first)


def reason(batch: Batch, row: int, context: Context, rule: Rule, now: int) -> Reason:
    """Return why a rule keeps a file out. It is asked about this file alone, which is the same."""
    one = batch.take(np.array([row]))
    times = rule.until(one, context, now)
    until = None if times is None or times[0] == NOWHEN else int(times[0])
    return Reason(rule.key, rule.evidence(one, 0, context, now), until)
