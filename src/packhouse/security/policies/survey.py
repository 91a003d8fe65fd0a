"""Makes the summary of a channel that rules need which look at other files: to a fixed point, from all its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from packhouse.formats import registry
from packhouse.security.policies.batch import Batch, Bools, Ints
from packhouse.security.policies.closure import broken, needed_by
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy, decide
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.keys import Keys
from packhouse.security.policies.needs import NOARCH
from packhouse.security.policies.reserved import NOTHING, Reserved
from packhouse.security.policies.rules.age import MinimumAge
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.rules.latest import LatestOnly
from packhouse.security.policies.rules.legacy import LegacyTwins
from packhouse.security.policies.rules.names import OnlyNames, OnlyNamesAndNeeds
from packhouse.security.policies.rules.platform import NeededNoarch
from packhouse.security.policies.rules.vulnerabilities import SETTLED
from packhouse.security.policies.waivers import Waiver, covered, lifted


def needs_whole_channel(policy: Policy) -> bool:
    """Say whether a survey needs all files of the channel; else those of the names in question are enough."""
    return policy.has(NeededNoarch, OnlyNamesAndNeeds, Installable)


def survey(
    batch: Batch,
    policy: Policy,
    now: int,
    demands: Demands | None = None,
    reserved: Reserved = NOTHING,
    waivers: Sequence[Waiver] = (),
) -> Context:
    """Return the context of a channel whose files (all of one family) are `batch`.

    `demands` are what they ask of each other, looked at only for policies of which `needs_whole_channel` is true;
    without them nothing needs anything. What a waiver lets pass counts as what may be seen.
    """
    context = Context(reserved, modern=_modern(batch, policy), fixes=_fixes(batch, policy))
    if policy.has(NeededNoarch, OnlyNamesAndNeeds):
        others = policy.without(NeededNoarch, OnlyNames, LatestOnly, Installable)
        allowed = _seen(batch, context, others, waivers, now)
        context = _with(context, needed=_needed(batch, policy, demands, allowed))
    context = with_newest(batch, context, policy, now, waivers)
    if demands is not None and policy.has(Installable):
        left = _seen(batch, context, policy.without(Installable), waivers, now)
        kept = covered(batch, waivers, Installable.key, now)
        rows, missing = broken(demands, np.ones(len(batch), np.bool_), left, kept)
        context = _with(context, broken=Keys.of(batch, rows), missing=missing)
    return context


def with_newest(batch: Batch, context: Context, policy: Policy, now: int, waivers: Sequence[Waiver] = ()) -> Context:
    """Return the context with the newest of those files that it lets pass, where a policy asks for them."""
    if not policy.has(LatestOnly):
        return context
    left = _seen(batch, context, policy.without(LatestOnly, Installable), waivers, now)
    return _with(context, newest=Keys.of(batch, _newest(batch, left)))


def _seen(batch: Batch, context: Context, policy: Policy, waivers: Sequence[Waiver], now: int) -> Bools:
    found: Bools = decide(batch, context, policy, now).seen
    found[lifted(batch, context, policy, waivers, now).rows] = True
    return found


def _with(context: Context, **changes: object) -> Context:
    return msgspec.structs.replace(context, **changes)


def _modern(batch: Batch, policy: Policy) -> Keys:
    """Return the files in the newer form, of versions that there are in older ones, too."""
    if not policy.has(LegacyTwins) or not batch.legacy.any():
        return Keys.NONE
    versions = batch.name.codes.astype(np.int64) * len(batch.version.values) + batch.version.codes
    names = np.zeros(len(batch.name.values), np.bool_)
    names[batch.name.codes[batch.legacy]] = True
    rows = np.flatnonzero(names[batch.name.codes] & ~batch.legacy)
    return Keys.of(batch, rows[np.isin(versions[rows], versions[batch.legacy])])


def _needed(batch: Batch, policy: Policy, demands: Demands | None, allowed: Bools) -> Keys:
    """Return what the selected files need, and they themselves, of what all other rules let pass."""
    names = [rule.specs for rule in policy.rules if isinstance(rule, OnlyNames)]
    start = allowed & names[0].select(batch) if names else allowed & ~batch.partition.test(NOARCH.__eq__)
    needed = start if demands is None else needed_by(demands, start, allowed)
    return Keys.of(batch, np.flatnonzero(needed))


def _newest(batch: Batch, seen: Bools) -> Ints:
    """Return the files of the newest version that may be seen, for each package in each partition."""
    order = registry.get(batch.family).order
    rows = np.flatnonzero(seen)
    columns = [column.codes[rows].tolist() for column in (batch.partition, batch.name, batch.version)]
    age = {version: order(batch.version.values[version]) for version in set(columns[2])}
    best: dict[tuple[int, int], Any] = {}
    for partition, name, version in set(zip(*columns, strict=True)):
        held = best.get((partition, name))
        best[partition, name] = age[version] if held is None else max(held, age[version])
    keep = [age[version] == best[partition, name] for partition, name, version in zip(*columns, strict=True)]
    return rows[np.array(keep, np.bool_)]


def _fixes(batch: Batch, policy: Policy) -> Mapping[tuple[str, str], str]:
    """Return the releases that fix a known-exploited vulnerability which the version just before them has.

    Only those: else a malicious later release of a package that was once vulnerable would pass unwatched.
    """
    findings = batch.findings
    bad = findings.about(lambda known: known.exploited) & ~findings.in_status(SETTLED)
    if not policy.has(MinimumAge) or not bad.any():
        return {}
    affected: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    names, versions = batch.name.codes, batch.version.codes
    for at in np.flatnonzero(bad).tolist():
        row = findings.rows[at]
        affected[int(names[row]), int(versions[row])].add(findings.vulnerabilities[findings.vulnerability[at]].key)
    fixes: dict[tuple[str, str], str] = {}
    for name in {name for name, _ in affected}:
        ordered = _in_order(batch, name)
        for before, after in pairwise(ordered):
            fixed = affected.get((name, before), set()) - affected.get((name, after), set())
            if fixed:
                fixes[batch.name.values[name], batch.version.values[after]] = min(fixed)
    return fixes


def _in_order(batch: Batch, name: int) -> list[int]:
    """Return the versions of a package, by their codes, oldest first."""
    codes = np.unique(batch.version.codes[batch.name.codes == name]).tolist()
    order = registry.get(batch.family).order
    return sorted(codes, key=lambda code: order(batch.version.values[code]))
