"""The one place that says whether a file may be seen: pure, and the same for one file as for a million."""

from __future__ import annotations

from collections.abc import Iterable

from packhouse.security.policies.subject import Context, Reason, Rule, Subject


class Policy:
    """Rules in the order in which they are asked: the first one that hides a file names the reason."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)

    def __bool__(self) -> bool:
        """Whether there is anything to ask at all."""
        return bool(self.rules)


def decide(subjects: Iterable[Subject], context: Context, policy: Policy, now: int) -> list[Reason | None]:
    """Return for each file, in order, why it stays out, or None when it may be seen."""
    return [_first(subject, context, policy.rules, now) for subject in subjects]


def _first(subject: Subject, context: Context, rules: tuple[Rule, ...], now: int) -> Reason | None:
    for rule in rules:
        if (evidence := rule.hides(subject, context, now)) is not None:
            return Reason(rule.key, evidence)
    return None
