"""Keep files by what is known of their vulnerabilities."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import numpy as np

from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.findings import UNSCORED, Findings, evidence_of
from packhouse.security.policies.rule import Rule

Comparator = Literal["==", "<=", ">=", "<", ">"]
_COMPARE: dict[str, Callable[[Any, int], Any]] = {
    "==": operator.eq, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
#: judgements after which a vulnerability does no harm in the file
SETTLED = ("mitigated", "cleared")


def tenths(score: int) -> str:
    """Return a score as people write it: 98 is "9.8"."""
    return f"{score // 10}.{score % 10}"


class ScoreRule(NamedTuple):
    """The comparator describes what is kept: 70 with "<=" keeps files without a score above 7.0."""

    score: int  #: tenths
    comparator: Comparator

    @property
    def wants_vulnerable(self) -> bool:
        """Whether files in which nothing was found do not pass."""
        return self.score > 0 and self.comparator in (">", ">=", "==")

    def __str__(self) -> str:
        """Return it as in a formula."""
        return f"{self.comparator} {tenths(self.score)}"


class StatusRule(NamedTuple):
    """Every vulnerability must have one of these statuses, if there are any, and none of those."""

    include: frozenset[str]
    exclude: frozenset[str]

    def refuses(self, findings: Findings) -> Bools:
        """Return which findings do not pass."""
        refused = findings.in_status(self.exclude)
        return refused | ~findings.in_status(self.include) if self.include else refused


class Vulnerabilities(Rule):
    """Hides files by the score and the status of what was found in them, but for what the allowlist names.

    With both rules, `link` says whether both must hold ("and") or one is enough ("or"). A file in which nothing was
    found passes, unless the score rule wants vulnerable files. The highest known score counts; a vulnerability without
    any counts as low, or keeps the file out when unknown ones are to be hidden (`hide_unscored`). With `ignore_settled`
    the score rule does not look at what is mitigated or cleared. Malware is not asked about here.
    """

    key = "cve"

    def __init__(
        self,
        score: ScoreRule | None = None,
        status: StatusRule | None = None,
        *,
        link: Literal["and", "or"] = "and",
        allowlist: Iterable[str] = (),
        exclude_uncurated: bool = False,
        hide_unscored: bool = False,
        ignore_settled: bool = False,
    ) -> None:
        self._score, self._status, self._link = score, status, link
        self._allowed = frozenset(key.upper() for key in allowlist)
        self._exclude_uncurated = exclude_uncurated
        self._hide_unscored, self._ignore_settled = hide_unscored, ignore_settled
        self.hides_only = None if score is not None and score.wants_vulnerable else "finding"

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files do not pass."""
        findings = batch.findings
        counted = self._counted(findings)
        found = findings.any(counted)
        wrong = self._wrong(findings, counted)
        hidden: Bools = np.where(found, wrong, self._score is not None and self._score.wants_vulnerable)
        if self._exclude_uncurated:
            hidden |= findings.any(counted & findings.in_status(("reported",)))
        return hidden

    def _counted(self, findings: Findings) -> Bools:
        return findings.about(lambda one: one.kind != "malware" and not one.is_among(self._allowed))

    def _wrong(self, findings: Findings, counted: Bools) -> Bools:
        """Return which files fail, of those in which something was found."""
        failures = []
        if self._score is not None:
            failures.append(self._bad_score(self._score, findings, counted))
        if self._status is not None:
            failures.append(findings.any(counted & self._status.refuses(findings)))
        if not failures:
            return np.zeros(findings.count, np.bool_)
        wrong: Bools = (np.logical_or if self._link == "and" else np.logical_and).reduce(failures)
        return wrong

    def _bad_score(self, rule: ScoreRule, findings: Findings, counted: Bools) -> Bools:
        scored = counted & ~findings.in_status(SETTLED) if self._ignore_settled else counted
        top = findings.highest(scored)
        bad: Bools = np.where(top == UNSCORED, rule.wants_vulnerable, ~_COMPARE[rule.comparator](top, rule.score))
        if self._hide_unscored:
            bad |= findings.any(scored & (findings.scores == UNSCORED))
        return bad

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return what was found, worst first, and what is kept."""
        one = batch.findings.take(np.array([row]))
        found = one.of_row(0, self._counted(one))
        first = (
            "nothing was found in it" if not found else "it has " + ", ".join(_said(*finding) for finding in found[:3])
        )
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        return {"text": f"{first}{more}; kept is {self}", **evidence_of(found)}

    def __str__(self) -> str:
        """Return what is kept, in words."""
        parts = [f"a score {self._score}"] if self._score else []
        if self._status and self._status.include:
            parts.append(f"only what is {' or '.join(sorted(self._status.include))}")
        if self._status and self._status.exclude:
            parts.append(f"nothing that is {' or '.join(sorted(self._status.exclude))}")
        said = f" {self._link} ".join(parts)
        return "; ".join(filter(None, (said, "only what was curated" if self._exclude_uncurated else "")))


def _said(known: Any, status: str) -> str:
    score = "no score" if known.score == UNSCORED else tenths(known.score)
    return f"{known.key} ({score}, {status})"
