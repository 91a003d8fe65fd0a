"""What a distribution needs, and which specifiers select it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker

from packhouse.core.errors import PackhouseError
from packhouse.formats.python.filename import normalise
from packhouse.formats.python.matcher import compile_spec
from packhouse.formats.python.requirements import required_names

_ATOMS = st.sampled_from(
    ['extra == "x"', '"y" == extra', 'extra != "x"', 'python_version >= "3"', 'sys_platform == "(and or)"']
)
_MARKERS = st.recursive(
    _ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda one: f"({' '.join(one)})"),
    max_leaves=8,
)


def test_names_are_normalised_and_each_is_once() -> None:
    needs = ["Foo_Bar>=1", "foo.bar[x] (<2)", "z @ https://example.org/z.whl", "old (>1.*)", "!!", ""]
    assert required_names(needs) == ["foo-bar", "old", "z"]


@pytest.mark.parametrize(
    ("marker", "needed"),
    [
        ('extra == "test"', False),
        ("extra=='test'", False),
        ('sys_platform == "win32"', True),
        ('sys_platform == "win32" and extra == "test"', False),
        ('sys_platform == "win32" or extra == "test"', True),
        ('(extra == "a" or extra == "b") and python_version < "3"', False),
        ('platform_version == "extra"', True),
    ],
)
def test_what_only_an_extra_needs_is_left_out(marker: str, needed: bool) -> None:
    assert required_names([f"demo ; {marker}"]) == (["demo"] if needed else [])


@given(_MARKERS)
def test_it_is_left_out_only_if_no_environment_could_need_it(marker: str) -> None:
    """`packaging` itself says so, in an environment where every other comparison holds."""
    holds = Marker(marker).evaluate({"extra": "", "python_version": "3.11", "sys_platform": "(and or)"})
    assert required_names([f"demo ; {marker}"]) == (["demo"] if holds else [])


@pytest.mark.parametrize(
    ("spec", "name", "version", "selected"),
    [
        ("requests", "Requests", "1.0", True),
        ("requests>=2,<3", "requests", "2.9", True),
        ("requests>=2,<3", "requests", "3.0", False),
        ("requests >= 2, < 3", "requests", "2.0rc1", False),
        ("requests==2.*", "requests", "2.31", True),
        ("requests (>1)", "requests", "2", True),
        ("Foo_Bar[x,y]==1", "foo-bar", "1.0", True),
        ("requests>=1", "requests", "2.0rc1", True),
        ("acme-*", "acme_tools", "1", True),
        ("acme.*<2", "acme-tools", "2", False),
        ("acme-*", "acme", "1", False),
        ("a?c", "abc", "1", True),
        ("*", "anything", "no version", True),
        ("*>=0", "anything", "no version", False),
        ("torch==2.1", "torch", "2.1+cu118", True),
        ("torch===2.1", "torch", "2.1", True),
    ],
)
def test_specifiers(spec: str, name: str, version: str, selected: bool) -> None:
    assert compile_spec(spec).matches(name, version) is selected


@pytest.mark.parametrize(
    "spec",
    ["", " ", "!!", "a b", "requests=2", "requests >=x", "a @ https://x/y", "a; extra == 'x'", "a" * 3000, "a\0"],
)
def test_what_is_no_specifier_is_refused(spec: str) -> None:
    with pytest.raises(PackhouseError) as refused:
        compile_spec(spec)
    assert refused.value.code == "bad_request"


def test_a_pattern_made_to_take_long_does_not() -> None:
    assert not compile_spec("*a" * 1000 + "*b").matches_name("a" * 128)


@given(st.text(string.ascii_letters + "-_.", min_size=1, max_size=20))
def test_a_normalised_name_stays_as_it_is(name: str) -> None:
    plain = normalise(name)
    assert normalise(plain) == plain and compile_spec(f"x{name}").matches_name(normalise(f"x{name}"))
