"""Versions and match specs mean what rattler means by them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rattler import MatchSpec, PackageRecord
from rattler.package.build_string import BuildString

from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.solver_types import compile_spec, dependency_name, newest_key, version_key

NAMES = ["numpy", "num", "numpy-base", "python"]
VERSIONS = ["1.0", "1.0.0", "1.2", "1.2.3", "1.10", "2.0", "2.0rc1", "1!0.5", "2024a", "1.2.3.post1", "1.2+cu12"]
BUILDS = ["0", "py37_0", "py310h1_0", "cpython", "h1_cpython", "py", "PY37_0", "mkl_py37_1"]
VERSION_SPECS = [
    "*", "1.2", "==1.2", "=1.2", "1.2.*", ">=1.2", ">=1.2,<2", "1.2|2.0", "!=1.2", "~=1.2", "<2.0a0", ">1.0,!=1.2.*",
    "(>=1,<1.5)|2.*",
]  # fmt: skip
BUILD_SPECS = ["", "*", "py37_0", "py*", "*_0", "*cpython", "py*_0", "*py*", "py3?_0", "^py3.*$", "*_cpython"]
NUMBER_SPECS = ["", ">=3", "2", "==2", "!=2", "<2", "<=2", ">2"]
REST = ["", "license=MIT", "subdir=linux-64", "md5=" + "ab" * 16, "channel=conda-forge"]
PATTERNS = ["numpy", "num*", "*", "^num.*$", "NumPy"]


@st.composite
def specs(draw: st.DrawFn) -> str:
    parts = [draw(st.sampled_from(PATTERNS))]
    asked = [f'version="{draw(st.sampled_from(VERSION_SPECS))}"']
    for key, choices in (("build", BUILD_SPECS), ("build_number", NUMBER_SPECS)):
        if value := draw(st.sampled_from(choices)):
            asked.append(f'{key}="{value}"')
    if rest := draw(st.sampled_from(REST)):
        asked.append(rest)
    if draw(st.booleans()):
        return parts[0] + "[" + ",".join(asked) + "]"
    return f"{parts[0]} {draw(st.sampled_from(VERSION_SPECS))} {draw(st.sampled_from(BUILD_SPECS))}".strip()


@given(
    specs(), st.sampled_from(NAMES), st.sampled_from(VERSIONS), st.sampled_from(BUILDS), st.integers(0, 5),
    st.sampled_from([None, "MIT", "BSD"]), st.sampled_from(["ab" * 16, "cd" * 16]),
)  # fmt: skip
def test_a_compiled_spec_selects_what_rattler_selects(
    text: str, name: str, version: str, build: str, number: int, license: str | None, md5: str
) -> None:
    record = PackageRecord(
        name, version, BuildString.new_unchecked(build), number, "linux-64", license=license, md5=bytes.fromhex(md5)
    )
    wanted = MatchSpec(text, exact_names_only=False).matches(record)
    spec = compile_spec(text)
    assert spec.matches(name, version, build, number, subdir="linux-64", license=license, md5=md5) == wanted
    if wanted:
        assert spec.matches_name(name) and spec.matches_version(version)


@pytest.mark.parametrize("text", ["", ">=1", "numpy >=", "numpy[version", "numpy >=1.*.3 x y z", "x" * 5000])
def test_what_is_no_spec_is_a_bad_request(text: str) -> None:
    with pytest.raises(PackhouseError) as refused:
        compile_spec(text)
    assert refused.value.code == "bad_request" and refused.value.hint


@given(st.text(max_size=60))
def test_any_text_is_a_spec_or_a_bad_request(text: str) -> None:
    try:
        compile_spec(text).matches("numpy", "1.2", "0", 0)
    except PackhouseError as refused:
        assert refused.code == "bad_request"


def test_a_version_that_does_not_parse_matches_only_without_a_version_part() -> None:
    assert not compile_spec("numpy >=1").matches("numpy", "1..2", "0", 0)
    assert compile_spec("numpy").matches("numpy", "1..2", "0", 0)


def test_a_spec_that_names_a_subdir_selects_no_file_of_another() -> None:
    for text in ("numpy[subdir=win-64]", "conda-forge/win-64::numpy"):
        spec = compile_spec(text)
        assert spec.matches("numpy", "1.2", "0", 0, subdir="win-64")
        assert not spec.matches("numpy", "1.2", "0", 0, subdir="linux-64")
        assert spec.matches("numpy", "1.2", "0", 0), "who does not say the subdir has picked the index already"


def test_newest_order() -> None:
    versions = ["1..2", "1.0rc1", "1.0", "1.0.post1", "1.2", "1.10", "1!0.1"]
    assert sorted(sorted(versions), key=version_key) == versions
    assert newest_key("1.10", 0) > newest_key("1.9", 7) and newest_key("1.0", 2) > newest_key("1.0", 1)


@pytest.mark.parametrize(
    ("dep", "name"),
    [
        ("numpy", "numpy"), ("numpy >=1.2,<2", "numpy"), ("numpy>=1.2", "numpy"), ("  NumPy  1.2 py_0", "numpy"),
        ("conda-forge::numpy >=1", "numpy"),
        ("https://x.org/c/linux-64::numpy", "numpy"), ("__glibc >=2.17", "__glibc"),
        ("numpy[version='>=1']", "numpy"), ("_libgcc_mutex 0.1 main", "_libgcc_mutex"),
        ("r-data.table", "r-data.table"),
        ("", ""), (">=1.0", ""),
    ],
)  # fmt: skip
def test_dependency_name(dep: str, name: str) -> None:
    assert dependency_name(dep) == name
