"""Versions compare as those mean it who write advisories; what nobody can read is None and never an error."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.security.vulnerabilities.orders import Scale, order_of

ECOSYSTEMS = ["PyPI", "CRAN", "Bioconductor", "Bitnami", "npm", "Debian:12", "conda", ""]

#: SemVer 2.0, section 11, and what is between: versions with too few or too many parts, and glued pre-releases
SEMVER = [
    "0.0.0-20250806193240-9b0b5d4f345f", "0", "1.0.0-0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
    "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1", "v1.0.1", "1.0.1.1", "1.2.0-rc1", "1.2", "1.10",
    "2.0rc1", "2",
]  # fmt: skip
#: R's `numeric_version`: more parts are more, and the separator does not matter
R = ["0.1-3", "0.1-9", "0.1-10", "0.2", "1.0", "1.0.0", "1.0_1", "1.2.2-2", "1.2.3"]
#: OpenSSL's own history; then ImageMagick's, whose patches conda spells with `_`
UPSTREAM_IN_CONDA = [
    ["1.1.0", "1.1.1", "1.1.1a", "1.1.1k", "1.1.1w", "1.1.1za", "1.1.2", "3.0.0"],
    ["7.1.1", "7.1.1_2", "7.1.1_29", "7.1.2"],
]


def key(scale: Scale | None, version: str) -> Any:
    assert scale is not None
    found = scale.read(version)
    assert found is not None
    return found


@pytest.mark.parametrize("ecosystem", ["Bitnami", "npm", "Debian:12"])
@pytest.mark.parametrize(("older", "newer"), list(pairwise(SEMVER)))
def test_semver(ecosystem: str, older: str, newer: str) -> None:
    own = order_of(ecosystem, "python").own
    assert key(own, older) < key(own, newer)


@pytest.mark.parametrize(("older", "newer"), list(pairwise(R)))
def test_r(older: str, newer: str) -> None:
    own = order_of("CRAN", "cran").own
    assert key(own, older) < key(own, newer)


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@pytest.mark.parametrize("family", ["conda", "python"])
def test_an_underscore_joins_no_digits(ecosystem: str, family: str) -> None:
    order = order_of(ecosystem, family)
    for scale in filter(None, (order.own, order.fallback)):
        assert scale.read("1_0") in (None, scale.read("1.0")), "as int() of Python would read it, it were 10"


@pytest.mark.parametrize("line", UPSTREAM_IN_CONDA)
def test_upstream_versions_that_are_no_semver_compare_by_conda_with_letters_as_patches(line: list[str]) -> None:
    fallback = order_of("Bitnami", "conda").fallback
    keys = [key(fallback, version) for version in line]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)


def test_conda_packages_themselves_compare_by_conda_whose_letters_come_before() -> None:
    order = order_of("conda", "conda")
    assert order.fallback is None
    assert key(order.own, "1.1.1k") < key(order.own, "1.1.1")


@pytest.mark.parametrize(
    ("ecosystem", "left", "right"),
    [
        ("PyPI", "1.0", "1.0.0"),
        ("PyPI", "1.0c1", "1.0.rc1"),
        ("Bitnami", "1.2", "v1.2.0+build.5"),
        ("Bitnami", "2.6.0-rc1", "2.6.0rc1"),
        ("CRAN", "1.2-3", "1.2_3"),
        ("conda", "1.0", "1.0.0"),
    ],
)
def test_equal_versions_have_equal_keys_that_hash_alike(ecosystem: str, left: str, right: str) -> None:
    read = order_of(ecosystem, "python").own.read
    assert {read(left)} == {read(right)} != {None}


@pytest.mark.parametrize(
    ("ecosystem", "version"),
    [
        ("PyPI", "2004d1x"), ("PyPI", "0.1-bulbasaur"), ("CRAN", "1.2a"), ("CRAN", "1..2"), ("Bitnami", "1.1.1k"),
        ("Bitnami", "nightly.2026-03-10.0"), ("Bitnami", "7.1.1_29"), ("Bitnami", "\u0661.\u0662"), ("conda", "1_2-3"),
    ],
)  # fmt: skip
def test_what_is_no_version_of_the_ecosystem_is_none(ecosystem: str, version: str) -> None:
    assert order_of(ecosystem, "python").own.read(version) is None


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@given(version=st.text() | st.from_regex(r"[0-9a-z._+!-]*", fullmatch=True))
def test_nothing_that_a_feed_says_is_an_error(ecosystem: str, version: str) -> None:
    order = order_of(ecosystem, "conda")
    for scale in (order.own, order.fallback):
        if scale is not None and (found := scale.read(version)) is not None:
            assert scale.bare(found) <= found <= scale.ceiling(found)


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@pytest.mark.parametrize("version", ["9" * 100_000, "1." + "9" * 5_000, "1." * 50_000, "1.0\0", "", "-", "1.0é"])
def test_hostile_versions_are_none(ecosystem: str, version: str) -> None:
    order = order_of(ecosystem, "conda")
    assert order.own.read(version) is None
    assert order.fallback is None or order.fallback.read(version) is None


def test_only_conda_packages_have_a_second_scale() -> None:
    assert order_of("PyPI", "python").fallback is None
    assert key(order_of("PyPI", "conda").fallback, "1.0_1+cuda") == key(order_of("PyPI", "conda").fallback, "1.0_1")
