"""Files, findings and policies for the tests of the engine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from packhouse.core.clock import DAY
from packhouse.formats.licenses import FAMILIES
from packhouse.security.policies.batch import Batch, File
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.decide import Decisions, decide
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.findings import STATUSES, Known
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.policy import Rules, edited
from packhouse.security.policies.reserved import NOTHING, Reserved
from packhouse.security.policies.survey import survey

NOW = 1000 * DAY
KNOWN = (
    Known("CVE-2024-1", 98, exploited=True, aliases=("GHSA-aaaa",)),
    Known("CVE-2024-2", 70),
    Known("CVE-2024-3", 31),
    Known("CVE-2024-4"),
    Known("MAL-2024-1", kind="malware"),
)
NAMES = ["numpy", "python", "py-a", "py-b", "r-base"]
TIMES = st.one_of(st.none(), st.integers(0, 1000).map(lambda days: days * DAY))
FILES = st.builds(
    File,
    partition=st.sampled_from(["noarch", "linux-64", "win-64"]),
    name=st.sampled_from(NAMES),
    version=st.sampled_from(["1.0", "2.0", "3.11.2", "not a version"]),
    build=st.sampled_from(["0", "py311_0", "py312_1"]),
    build_number=st.integers(0, 2),
    license=st.sampled_from(["MIT", "", "MIT OR GPL-3.0-only", "MIT AND GPL-3.0-only", "GPL-2.0-only WITH x-1"]),
    license_family=st.sampled_from(FAMILIES),
    published_at=TIMES,
    first_seen_at=TIMES,
    python=st.sampled_from(["", ">=3.9", ">=3.12", "3.11.*", "<3"]),
    signed=st.booleans(),
    mirrored=st.booleans(),
    held=st.booleans(),
    install_code=st.booleans(),
    mapped=st.booleans(),
    quarantined=st.sampled_from([False, False, False, True]),
    legacy=st.booleans(),
    findings=st.lists(
        st.tuples(st.sampled_from(KNOWN), st.sampled_from(STATUSES)), max_size=3, unique_by=lambda one: one[0].key
    ).map(tuple),
)


def some(values: list[str], size: int = 2) -> st.SearchStrategy[list[str]]:
    """Draw a short list of different values."""
    return st.lists(st.sampled_from(values), max_size=size, unique=True)


RULES = st.fixed_dictionaries(
    {},
    optional={
        "platform": some(["noarch", "linux-64"]),
        "platform_not": some(["win-64"]),
        "license": some(["mit", "GPL3", "None", "GPL-2.0-only"]),
        "license_not": some(["agpl", "proprietary"]),
        "license_exception": some(["numpy", "py-*"]),
        "package_created_from": st.sampled_from([None, "1970-04-01"]),
        "package_created_to": st.sampled_from([None, "1972-01-01"]),
        "only_signed_packages": st.booleans(),
        "keep_legacy_packages": st.booleans(),
        "package_name": some(["numpy", "py-*", "python >=3"]),
        "include_dependencies": st.booleans(),
        "cve_score": st.sampled_from([None, 0, 3.1, 7, 9.8]),
        "cve_score_comparator": st.sampled_from(["==", "<=", ">=", "<", ">"]),
        "cve_status": some(["reported", "active", "cleared"]),
        "exclude_cve_status": some(["disputed", "mitigated"]),
        "cve_link_status_and_score": st.sampled_from(["and", "or"]),
        "cve_allowlist": some(["CVE-2024-2", "ghsa-aaaa"]),
        "exclude_uncurated_cve_packages": st.booleans(),
        "settled_vulnerabilities": st.sampled_from(["count", "ignore"]),
        "exclude_package_name": some(["numpy", "python 3.11.*", "* >=2"]),
        "python_versions": some(["3.11", "3.13"]),
        "install_time_code": st.sampled_from(["allow", "hide"]),
        "missing_facts": st.sampled_from(["allow", "hide"]),
        "unknown_vulnerabilities": st.sampled_from(["allow", "hide"]),
        "malware": st.sampled_from(["allow", "hide"]),
        "minimum_age_days": st.sampled_from([None, 7]),
        "latest_only": st.booleans(),
        "whole_closure": st.booleans(),
    },
).map(lambda found: edited(Rules(), found))
#: what each file asks for, by its place
DEPENDS = st.lists(some(["numpy >=2", "python", "py-a 1.0.*", "r-base", "elsewhere"]), min_size=8, max_size=8)


def conda(*files: File) -> Batch:
    """Return a batch of conda files."""
    return Batch.of("conda", files)


def decided(
    batch: Batch, rules: Rules, depends: list[list[str]] | None = None, reserved: Reserved = NOTHING
) -> Decisions:
    """Decide a channel that has these files and no others."""
    policy = compile_rules(rules)
    demands = None if depends is None else Demands(batch, Needs.of(depends[: len(batch)]))
    return decide(batch, survey(batch, policy, NOW, demands, reserved), policy, NOW)


def seen(files: list[File], **rules: Any) -> list[bool]:
    """Return which files may be seen; without any rule about it, both archive forms may."""
    values = {"keep_legacy_packages": True, **rules}
    return [bool(one) for one in decided(conda(*files), Rules(**values)).seen]


def file(name: str = "numpy", version: str = "1.0", **more: Any) -> File:
    """Return a file like most."""
    return File(
        name, version, **{"partition": "noarch", "build": "0", "license": "MIT", "license_family": "MIT", **more}
    )
