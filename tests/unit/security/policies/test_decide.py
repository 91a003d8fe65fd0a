"""The engine of the rules: their order, and that a batch is decided as each file alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.mirrors.filters import Filters
from packhouse.core.clock import from_iso
from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.licenses import FAMILIES
from packhouse.security.policies.decide import Policy, decide
from packhouse.security.policies.rules.dates import Published
from packhouse.security.policies.rules.license import Licenses, family
from packhouse.security.policies.rules.names import ExcludeSpecs, OnlySpecs, Specs
from packhouse.security.policies.subject import Context, Subject
from packhouse.workflows.mirroring.policy import policy_of

SUBJECTS = st.builds(
    Subject,
    partition=st.sampled_from(["noarch", "linux-64", "win-64"]),
    name=st.sampled_from(["numpy", "python", "py-a", "py-b", "r-base"]),
    version=st.sampled_from(["1.0", "2.0", "3.11.2", "not a version"]),
    build=st.sampled_from(["0", "py311_0", "py312_1"]),
    build_number=st.integers(0, 2),
    license=st.just("MIT"),
    license_family=st.sampled_from(FAMILIES),
    published_at=st.one_of(st.none(), st.integers(0, 2**50)),
    signed=st.booleans(),
)
FILTERS = st.builds(
    Filters,
    subdirs=st.lists(st.sampled_from(["noarch", "linux-64"]), max_size=2),
    include_licenses=st.lists(st.sampled_from(["mit", "gpl3", "none"]), max_size=2),
    exclude_licenses=st.lists(st.sampled_from(["mit", "proprietary"]), max_size=2),
    only_specs=st.lists(st.sampled_from(["numpy", "py-*", "python >=3"]), max_size=2),
    exclude_specs=st.lists(st.sampled_from(["numpy", "*", "python 3.11.*"]), max_size=2),
    include_specs=st.lists(st.sampled_from(["numpy 1.0", "py-a"]), max_size=2),
    only_signed=st.booleans(),
)
ORDER = ["subdirs", "license", "only_specs", "exclude_specs", "cve", "date", "only_signed"]


def one(**changed: object) -> Subject:
    base = Subject("noarch", "numpy", "1.0", "0", 0, "MIT", "MIT", None, False)
    return base._replace(**changed)  # type: ignore[arg-type]  # fields by name


@given(subjects=st.lists(SUBJECTS, max_size=8), filters=FILTERS)
def test_a_batch_is_decided_as_each_file_alone(subjects: list[Subject], filters: Filters) -> None:
    policy = policy_of(filters)
    together = decide(subjects, Context(), policy, 0)
    assert together == [decide([subject], Context(), policy, 0)[0] for subject in subjects]


@given(subject=SUBJECTS, filters=FILTERS)
def test_the_first_rule_in_order_names_the_reason(subject: Subject, filters: Filters) -> None:
    policy = policy_of(filters)
    keys = [rule.key for rule in policy.rules]
    assert keys == sorted(keys, key=ORDER.index)
    hiding = [rule.key for rule in policy.rules if decide([subject], Context(), Policy([rule]), 0)[0]]
    [reason] = decide([subject], Context(), policy, 0)
    assert (reason.rule if reason else None) == (hiding[0] if hiding else None)


def test_include_overrides_exclude_and_nothing_else() -> None:
    filters = Filters(exclude_specs=["numpy"], include_specs=["numpy ==1.0"], exclude_licenses=["gpl3"])
    policy = policy_of(filters)
    kept, dropped, licensed = decide([one(), one(version="2.0"), one(license_family="GPL3")], Context(), policy, 0)
    assert kept is None
    assert dropped is not None and dropped.rule == "exclude_specs"
    assert licensed is not None and licensed.rule == "license"


def test_a_window_of_dates_has_its_ends() -> None:
    rule = Published(from_iso("2024-01-01"), from_iso("2024-02-01"))
    assert rule.hides(one(published_at=from_iso("2023-12-31T23:59:59")), Context(), 0)
    assert not rule.hides(one(published_at=from_iso("2024-01-01")), Context(), 0)
    assert not rule.hides(one(published_at=from_iso("2024-01-31T23:59:59")), Context(), 0)
    assert rule.hides(one(published_at=from_iso("2024-02-01")), Context(), 0)
    assert rule.hides(one(), Context(), 0), "without a date it is older than every other"


def test_licence_words_in_every_spelling() -> None:
    assert [family(word) for word in ("mit", "public_domain", "Public-Domain", "gpl3", "NONE")] == [
        "MIT", "Public-Domain", "Public-Domain", "GPL3", "None",
    ]  # fmt: skip
    with pytest.raises(PackhouseError, match="Known are"):
        family("weird")
    assert Licenses(["mit"], []).hides(one(license_family="BSD"), Context(), 0)


def test_specs_of_a_pattern_and_of_a_name() -> None:
    specs = Specs(["py-*", "numpy >=2"])
    assert specs.match(one(name="py-a"))
    assert specs.match(one(version="2.1")) == "numpy >=2"
    assert specs.match(one()) is None
    assert OnlySpecs(["py-*"]).hides(one(), Context(), 0)
    assert ExcludeSpecs(["*"], []).hides(one(), Context(), 0)
