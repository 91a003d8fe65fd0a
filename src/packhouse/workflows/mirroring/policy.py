"""From a mirror's filters to the rules that decide, and from upstream records to what those rules look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.core.db.base import Reader
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.security.policies.batch import NOWHEN, Batch, Coded, flags
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.findings import Findings
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.rules.dates import Published
from packhouse.security.policies.rules.license import Licenses
from packhouse.security.policies.rules.names import ExcludeNames, OnlyNames, OnlyNamesAndNeeds
from packhouse.security.policies.rules.platform import Platforms
from packhouse.security.policies.rules.python import PythonVersions
from packhouse.security.policies.rules.signature import OnlySigned
from packhouse.security.policies.rules.vulnerabilities import ScoreRule, Vulnerabilities
from packhouse.workflows.answering.foreseeing import informed
from packhouse.workflows.governing.policies import get_policy
from packhouse.workflows.judging.knowing import Knowledge
from packhouse.workflows.judging.verdicts import policy_of as compiled

#: partition, file name, record and whether it is signed
Offer = tuple[str, str, bytes | msgspec.Raw, bool]


#: a mirror without a policy of its own
NO_POLICY = Policy(())


def policy_of(filters: Filters, own: Policy = NO_POLICY) -> Policy:
    """Return the rules of the filters in the order in which they are asked, then those of the mirror's own policy.

    Of that the rules count which look at the file alone, and the names; for what else a channel has, the gate asks.

    Raises PackhouseError("bad_request") for a spec, licence or date that cannot be understood.
    """
    rules: list[Rule] = []
    if filters.subdirs:
        rules.append(Platforms(filters.subdirs, key="subdirs"))
    if filters.include_licenses or filters.exclude_licenses:
        rules.append(Licenses(filters.include_licenses, filters.exclude_licenses))
    if filters.only_specs:
        rules.append(OnlyNames(filters.only_specs, key="only_specs"))
    if filters.exclude_specs:
        rules.append(ExcludeNames(filters.exclude_specs, filters.include_specs, key="exclude_specs"))
    if filters.asks_vulnerabilities:
        rules.append(_vulnerabilities(filters))
    start, end = filters.window
    if start is not None or end is not None:
        rules.append(Published(start, end, key="date"))
    if filters.only_signed:
        rules.append(OnlySigned(key="only_signed"))
    return Policy([*rules, *(_at_intake(rule) for rule in own.rules if _counts(rule))])


def _counts(rule: Rule) -> bool:
    """Say whether a rule of a policy is asked of offered files; which Python they want is read once they are here."""
    return isinstance(rule, OnlyNamesAndNeeds) or (rule.scope == "file" and not isinstance(rule, PythonVersions))


def _at_intake(rule: Rule) -> Rule:
    """Return a rule as it is asked of offered files: what selected ones need is found out by the closure."""
    return OnlyNames(rule.specs.texts) if isinstance(rule, OnlyNamesAndNeeds) else rule


async def own_policy(reader: Reader, mirror: Mirror) -> Policy:
    """Return the rules of the policy that a mirror has instead of its channel's. Raises PackhouseError("not_found")."""
    number = mirror.options.policy_id
    return NO_POLICY if number is None else compiled((await get_policy(reader, number)).rules)


def _vulnerabilities(filters: Filters) -> Vulnerabilities:
    """Return what keeps files out that have the score of the threshold or a higher one, or what nobody has judged."""
    threshold = filters.cve_score_threshold
    score = None if threshold is None else ScoreRule(round(threshold * 10), "<")
    return Vulnerabilities(score, exclude_uncurated=filters.exclude_non_curated_cve)


def dependency_policy(filters: Filters, own: Policy = NO_POLICY) -> Policy:
    """Return the rules that files selected as dependencies must pass: all but the selection by subdir and name."""
    return policy_of(msgspec.structs.replace(filters, subdirs=[], only_specs=[]), own.without(OnlyNames))


def batch_of(
    family: str, offers: Iterable[Offer], knowledge: Knowledge | None = None
) -> tuple[list[str], Batch, list[tuple[str, str]]]:
    """Return the names of the files that can be judged, what the rules look at, and why others cannot be used.

    Without `knowledge`, which `informing` finds out where rules ask for it, nothing was found in any of them.
    """
    format = registry.get(family)
    rows: list[tuple[Any, ...]] = []
    filenames: list[str] = []
    digests: list[str | None] = []
    unusable: list[tuple[str, str]] = []
    for partition, filename, record, signed in offers:
        try:
            found = format.columns(filename, record)
        except Malformed as fault:
            unusable.append((filename, str(fault)))
            continue
        filenames.append(filename)
        digests.append(found.sha256)
        rows.append(
            (partition, found.name, found.version, found.build, found.license, found.license_family,
             found.build_number, found.timestamp_ms, signed, format.is_legacy(filename))
        )  # fmt: skip
    batch = _batch(family, rows)
    return filenames, batch if knowledge is None else informed(batch, digests, knowledge), unusable


def _batch(family: str, rows: list[tuple[Any, ...]]) -> Batch:
    count = len(rows)
    columns_of = zip(*rows, strict=True) if rows else ((),) * 10
    partition, name, version, build, license, license_family, number, built, signed, legacy = columns_of
    return Batch(
        family=family,
        partition=Coded.of(partition),
        name=Coded.of(name),
        version=Coded.of(version),
        build=Coded.of(build),
        license=Coded.of(license),
        license_family=Coded.of(license_family),
        python=Coded.all("", count),
        build_number=np.array(number, np.int64),
        published_at=np.fromiter((at * 1000 if at else NOWHEN for at in built), np.int64, count),
        first_seen_at=np.full(count, NOWHEN, np.int64),
        signed=np.array(signed, np.bool_),
        mirrored=flags(True, count),
        held=flags(False, count),
        install_code=flags(False, count),
        mapped=flags(True, count),
        quarantined=flags(False, count),
        legacy=np.array(legacy, np.bool_),
        findings=Findings.none(count),
    )
