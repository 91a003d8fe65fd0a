"""Waivers: somebody lets a file pass for a while although a rule hides it. They end by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.selection import check_selection
from packhouse.security.policies.batch import Batch, Bools, Ints
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.specs import Specs

#: rules that only a waiver which names them can lift
GRAVE = frozenset({"malware", "quarantine", "reserved_name"})


class Waiver(msgspec.Struct, frozen=True):
    """What it lifts, for which files, until when (microseconds).

    With `rules`, these rules; with `cves`, these vulnerabilities are not looked at, by whatever names; with neither,
    every rule but the grave ones.
    """

    id: int
    family: str
    spec: str  #: a name or a match spec
    until: int
    rules: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()


class Lifted(msgspec.Struct, frozen=True, eq=False):
    """Which hidden files may be seen by a waiver; until when that holds, in microseconds."""

    rows: Ints
    waiver: Ints  #: the waiver's id, for each of the rows: the one that ends first of those it takes
    until: Ints

    def waiver_of(self, row: int) -> int | None:
        """Return the waiver of a row."""
        found = self.waiver[self.rows == row].tolist()
        return found[0] if found else None


def check_waiver(waiver: Waiver, now: int) -> Waiver:
    """Return a waiver that makes sense. PackhouseError: `unsupported_type` for the family, else `bad_request`."""
    registry.get(waiver.family)
    name, _, spec = waiver.spec.partition(" ")
    check_selection(waiver.family, name, spec)
    if waiver.until <= now:
        raise PackhouseError("bad_request", "The waiver would have ended already.", "Give a later time.")
    return waiver


def lifted(batch: Batch, context: Context, policy: Policy, waivers: Sequence[Waiver], now: int) -> Lifted:
    """Return which files that the policy hides may be seen by waivers that hold at `now`.

    Several waivers may be needed for one file; those that select it count together.
    """
    here = _holding(batch, waivers, now)
    covers = [_selected(batch, waiver) for waiver in here]
    rows = np.flatnonzero(np.logical_or.reduce(covers)) if covers else np.zeros(0, np.int64)
    part = batch.take(rows)
    chosen = np.array([cover[rows] for cover in covers], np.bool_).reshape(len(here), len(rows))
    lenient = _without_waived(part, here, chosen)
    hidden, still = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    needed = np.zeros((len(here), len(rows)), np.bool_)
    for rule in policy.rules:
        if not rule.applies(batch.family):
            continue
        strict = rule.hides(part, context, now)
        left = rule.hides(lenient, context, now) & strict  # one that wants vulnerable files would now hide more
        by_rule = np.array([_lifts(waiver, rule.key) for waiver in here], np.bool_)[:, None] & chosen
        by_cve = np.array([bool(waiver.cves) for waiver in here], np.bool_)[:, None] & chosen
        hidden |= strict
        still |= left & ~by_rule.any(axis=0)
        needed |= by_rule & left | by_cve & (strict & ~left)
    return _result(rows, here, hidden & ~still, needed)


def covered(batch: Batch, waivers: Sequence[Waiver], rule: str, now: int) -> Bools:
    """Return the files for which a waiver that holds at `now` lifts a rule, given by its key."""
    found = np.zeros(len(batch), np.bool_)
    for waiver in _holding(batch, waivers, now):
        if _lifts(waiver, rule):
            found |= _selected(batch, waiver)
    return found


def _holding(batch: Batch, waivers: Sequence[Waiver], now: int) -> list[Waiver]:
    return [waiver for waiver in waivers if waiver.family == batch.family and now < waiver.until]


def _selected(batch: Batch, waiver: Waiver) -> Bools:
    return Specs([f"{waiver.family}:{waiver.spec}"]).select(batch)


def _lifts(waiver: Waiver, rule: str) -> bool:
    if waiver.rules:
        return rule in waiver.rules
    return not waiver.cves and rule not in GRAVE


def _without_waived(batch: Batch, waivers: Sequence[Waiver], chosen: Bools) -> Batch:
    """Return the batch without the findings that waivers name, in the files they select."""
    findings = batch.findings
    keep = np.ones(len(findings), np.bool_)
    for waiver, cover in zip(waivers, chosen, strict=True):
        if waiver.cves:
            names = frozenset(key.upper() for key in waiver.cves)
            keep &= ~(findings.about(lambda known, names=names: known.is_among(names)) & cover[findings.rows])  # type: ignore[misc]  # the default binds this turn's names
    return msgspec.structs.replace(batch, findings=findings.where(keep))


def _result(rows: Ints, waivers: Sequence[Waiver], passing: Bools, needed: Bools) -> Lifted:
    at = np.flatnonzero(passing)
    if not len(at):
        return Lifted(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    ends = np.array([waiver.until for waiver in waivers], np.int64)
    last = np.where(needed[:, at], ends[:, None], np.iinfo(np.int64).max)
    first = np.argmin(last, axis=0)
    ids = np.array([waiver.id for waiver in waivers], np.int64)
    return Lifted(rows[at], ids[first], ends[first])
