"""Python versions have the order and the equality of PEP 440."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from packhouse.formats.python.versions import ceiling, equal, order, parse, public

#: from PEP 440, "Summary of permitted suffixes and relative ordering", and "Local version identifiers"
ASCENDING = [
    "1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2",
    "1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7", "1.0+5",
    "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1", "1!0.1",
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ASCENDING)))
def test_the_order_is_that_of_pep_440(older: str, newer: str) -> None:
    assert order(older) < order(newer)


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.0", "1.0.0"), ("v1.0", "1.0"), ("1.0-1", "1.0.post1"), ("1.0ALPHA_1", "1.0a1"), ("1.0c1", "1.0rc1")],
)
def test_one_version_may_be_spelled_in_several_ways(left: str, right: str) -> None:
    assert equal(left, right)


def test_a_local_variant_is_another_version() -> None:
    assert not equal("1.0", "1.0+cpu")


@given(st.text() | st.sampled_from(["1.0_1", "2004d", "0.1-bulbasaur", "1." + "9" * 5000]))
def test_a_text_that_is_no_version_sorts_before_all_versions_and_equals_itself(text: str) -> None:
    assert equal(text, text)
    assert (order(text) < order("0.dev0")) == (parse(text) is None or order(text)[1] < parse("0.dev0"))


@pytest.mark.parametrize("variant", ["2.1", "2.1+cpu", "2.1+cu118.zz", "2.1+20260101"])
def test_the_ceiling_of_a_public_version_is_above_its_variants_alone(variant: str) -> None:
    top, version, newer = ceiling(_read("2.1")), _read(variant), _read("2.1.post1.dev0")
    assert version < top < newer
    assert public(version) == _read("2.1")


def test_a_local_variant_stands_for_itself() -> None:
    assert ceiling(_read("2.1+cpu")) == _read("2.1+cpu")


def _read(text: str) -> Version:
    version = parse(text)
    assert version is not None
    return version
