"""From the rules of a policy as people write them to the rules that decide, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from packhouse.core.clock import DAY
from packhouse.security.policies.checking import check, window
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.needs import NOARCH
from packhouse.security.policies.policy import Rules, decode, encode
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.rules.age import MinimumAge
from packhouse.security.policies.rules.dates import Published
from packhouse.security.policies.rules.install_code import InstallTimeCode
from packhouse.security.policies.rules.installable import Installable
from packhouse.security.policies.rules.latest import LatestOnly
from packhouse.security.policies.rules.legacy import LegacyTwins
from packhouse.security.policies.rules.license import Licenses
from packhouse.security.policies.rules.malware import Malware
from packhouse.security.policies.rules.names import ExcludeNames, OnlyNames, OnlyNamesAndNeeds
from packhouse.security.policies.rules.platform import NeededNoarch, Platforms
from packhouse.security.policies.rules.python import PythonVersions
from packhouse.security.policies.rules.quarantine import Quarantine
from packhouse.security.policies.rules.reserved_name import ReservedName
from packhouse.security.policies.rules.signature import OnlySigned
from packhouse.security.policies.rules.unknown import UnknownVulnerabilities
from packhouse.security.policies.rules.vulnerabilities import ScoreRule, StatusRule, Vulnerabilities

#: the keys of all rules, in the order in which they are asked: what verdicts and waivers name
RULES = (
    "malware", "quarantine", "reserved_name", "platform", "license", "package_created", "only_signed_packages",
    "legacy_packages", "package_name", "cve", "exclude_package_name", "python_versions", "install_time_code",
    "unknown_vulnerabilities", "minimum_age", "latest_only", "whole_closure",
)  # fmt: skip


def compile_rules(rules: Rules) -> Policy:
    """Return the rules that decide. Raises PackhouseError("bad_request") as `check` does; compiled ones are kept."""
    return _compiled(encode(check(rules)))


@lru_cache(maxsize=256)
def _compiled(text: bytes) -> Policy:
    rules = decode(text)
    return Policy([*_always(rules), *_of_record(rules), *_of_vulnerabilities(rules), *_further(rules)])


def _always(rules: Rules) -> Iterator[Rule]:
    if rules.malware == "hide":
        yield Malware()
    yield Quarantine()
    yield ReservedName()


def _of_record(rules: Rules) -> Iterator[Rule]:
    """Yield the rules 2 to 7: about what the record says."""
    if rules.platform or rules.platform_not:
        adds = bool(rules.platform) and NOARCH not in (*rules.platform, *rules.platform_not)
        yield Platforms([*rules.platform, NOARCH] if adds else rules.platform, rules.platform_not)
        if adds:
            yield NeededNoarch()
    if rules.license or rules.license_not:
        yield Licenses(rules.license, rules.license_not, rules.license_exception)
    start, end = window(rules)
    if start is not None or end is not None:
        yield Published(start, end)
    if rules.only_signed_packages:
        yield OnlySigned()
    if not rules.keep_legacy_packages:
        yield LegacyTwins()
    if rules.package_name:
        yield (OnlyNamesAndNeeds if rules.include_dependencies else OnlyNames)(rules.package_name)


def _of_vulnerabilities(rules: Rules) -> Iterator[Rule]:
    """Yield rule 8."""
    score = None if rules.score is None else ScoreRule(rules.score, rules.cve_score_comparator)
    status = StatusRule(frozenset(rules.cve_status), frozenset(rules.exclude_cve_status))
    if score or any(status) or rules.exclude_uncurated_cve_packages:
        yield Vulnerabilities(
            score,
            status if any(status) else None,
            link=rules.cve_link_status_and_score,
            allowlist=rules.cve_allowlist,
            exclude_uncurated=rules.exclude_uncurated_cve_packages,
            hide_unscored=rules.unknown_vulnerabilities == "hide",
            ignore_settled=rules.settled_vulnerabilities == "ignore",
        )


def _further(rules: Rules) -> Iterator[Rule]:
    """Yield the rules 9 to 11."""
    if rules.exclude_package_name:
        yield ExcludeNames(rules.exclude_package_name, rules.exclude_package_name_exception)
    if rules.python_versions:
        yield PythonVersions(rules.python_versions)
    if rules.install_time_code == "hide":
        yield InstallTimeCode(hide_missing=rules.missing_facts == "hide")
    if rules.unknown_vulnerabilities == "hide":
        yield UnknownVulnerabilities()
    if rules.minimum_age_days:
        yield MinimumAge(rules.minimum_age_days * DAY)
    if rules.latest_only:
        yield LatestOnly()
    if rules.whole_closure:
        yield Installable()
