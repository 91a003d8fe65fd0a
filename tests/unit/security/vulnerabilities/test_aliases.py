"""Which names in advisories a package stands for, and whose word counts."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.security.vulnerabilities.aliases import (
    ANY,
    STRENGTH,
    Alias,
    Origin,
    Provenance,
    aliases_of,
    is_mapped,
    known_names,
    normalised,
    origin_of,
    possible_packages,
    resolve,
)

_PYTHON = origin_of({"version": "1.0", "depends": ["python >=3.9"]})


def _names(name: str, *origins: Origin, corrections: tuple[Alias, ...] = (), family: str = "conda") -> set[str]:
    """What a package is believed to be, as `ecosystem:name`, apart from what it is in its own."""
    return {
        f"{one.ecosystem}:{one.upstream}"
        for one in resolve(aliases_of(family, name, origins), corrections)
        if one.ecosystem != "conda"
    }


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("django", {"Bitnami:django", "PyPI:django"}),
        ("acme_tools.core", {"PyPI:acme-tools-core"}),
        ("pytorch", {"Bitnami:pytorch", "PyPI:torch"}),
        ("redis", {"Bitnami:redis"}),
        ("redis-py", {"PyPI:redis"}),
        ("msgpack-python", {"PyPI:msgpack"}),
        ("brotli-python", {"Bitnami:brotli", "PyPI:brotli"}),
        ("brotli", {"Bitnami:brotli"}),
        ("ruamel.yaml", {"PyPI:ruamel-yaml"}),
        ("python-dateutil", {"PyPI:python-dateutil"}),
        ("docker-py", {"PyPI:docker", "PyPI:docker-py"}),
        ("kubernetes", {"Go:k8s.io/kubernetes"}),
        ("zstd", set()),
    ],
)
def test_what_a_conda_package_that_depends_on_python_is(name: str, names: set[str]) -> None:
    assert _names(name, _PYTHON) == names


def test_a_name_alone_says_nothing() -> None:
    assert _names("acme") == set()
    assert _names("acme", origin_of({"depends": ["python-dateutil", "libpython"]})) == set()
    assert _names("r-acme", origin_of({"depends": ["libr"]})) == set()


@pytest.mark.parametrize("depends", ["python", "python>=3", "conda-forge::python 3.9.*", "python[version='>=3']"])
def test_a_dependency_on_python_is_seen_however_it_is_written(depends: str) -> None:
    assert _names("acme", origin_of({"depends": [depends]})) == {"PyPI:acme"}


def test_packages_of_r() -> None:
    r = origin_of({"depends": ["r-base >=4.2,<4.3.0a0"]})
    assert _names("r-data.table", r) == {"CRAN:data.table"}
    assert _names("bioconductor-limma", r) == {"Bioconductor:limma"}
    assert _names("r-essentials", r) == set()


def test_a_family_is_its_own_ecosystem() -> None:
    assert _names("Flask.Cors", family="python") == {"PyPI:flask-cors"}
    assert _names("Rcpp", family="cran") == {"CRAN:rcpp"}
    assert _names("whatever", family="notebook") == set()
    assert [(one.ecosystem, one.upstream) for one in aliases_of("conda", "zlib")] == [("conda", "zlib")]


def test_a_name_without_alias_into_what_we_have_advisories_of_is_unknown() -> None:
    covered = {"PyPI", "Bitnami", "conda"}
    assert not is_mapped(resolve(aliases_of("conda", "zlib")), covered)
    assert not is_mapped(resolve(aliases_of("conda", "ripgrep")), covered)  # of crates.io only
    assert is_mapped(resolve(aliases_of("conda", "acme", [_PYTHON])), covered)
    assert not is_mapped(resolve(aliases_of("conda", "acme", [_PYTHON])), {"CRAN"})


def test_what_a_file_says_of_its_origin_never_takes_away_that_the_name_is_the_same() -> None:
    record: dict[str, Any] = {"version": "1.0", "depends": ["python"]}
    for origin in (
        origin_of(record | {"purls": ["pkg:pypi/Other_Name?source=hash-mapping"]}),
        origin_of(record, {"sources": ["pkg:pypi/other-name"]}),
        origin_of(record, {"distributions": [["PyPI", "other_name", "1.0.0"]]}),
    ):
        assert _names("acme", origin) == {"PyPI:acme", "PyPI:other-name"}, "else malware could tell itself away"


def test_what_one_file_says_takes_nothing_from_others() -> None:
    stray = origin_of({"depends": ["python"], "purls": ["pkg:pypi/harmless"]})
    assert _names("acme", _PYTHON, stray) == {"PyPI:acme", "PyPI:harmless"}


def test_what_a_file_only_carries_along_is_not_its_name() -> None:
    carried = [["PyPI", "acme", "2.0"], ["PyPI", "django", "3.2.4"], ["CRAN", "base", ""]]
    assert _names("acme-server", origin_of({"version": "2.0.0"}, {"distributions": carried})) == {"PyPI:acme"}


def test_an_administrator_has_the_last_word() -> None:
    def said(upstream: str, negative: bool) -> Alias:
        return Alias("conda", "acme", "PyPI", upstream, "correction", negative)

    purl = origin_of({"depends": ["python"], "purls": ["pkg:pypi/django"]})
    assert _names("acme", purl, corrections=(said("django", True),)) == {"PyPI:acme"}
    assert _names("acme", purl, corrections=(said("acme", True),)) == {"PyPI:django"}
    assert _names("acme", purl, corrections=(said(ANY, True),)) == set()
    assert _names("acme", purl, corrections=(said(ANY, True), said("flask", False))) == set()
    assert _names("acme", _PYTHON, corrections=(said("flask", False),)) == {"PyPI:flask"}
    redis = Alias("conda", "redis", "PyPI", "redis", "correction")
    assert _names("redis", _PYTHON, corrections=(redis,)) == {"Bitnami:redis", "PyPI:redis"}
    assert _names("redis", _PYTHON) == {"Bitnami:redis"}


def test_is_not_counts_before_is_where_both_are_as_strong() -> None:
    for one, other in itertools.product(STRENGTH, STRENGTH):
        held = Alias("conda", "acme", "PyPI", "acme", one)
        denied = Alias("conda", "acme", "PyPI", "acme", other, negative=True)
        expected = [held] if STRENGTH.index(one) < STRENGTH.index(other) else []
        assert resolve([held, denied]) == resolve([denied, held]) == expected


def test_from_an_advisory_back_to_the_packages() -> None:
    assert {("conda", "pytorch"), ("conda", "pytorch-cpu"), ("python", "torch")} <= possible_packages("PyPI", "torch")
    assert ("conda", "ruamel.yaml") in possible_packages("PyPI", "ruamel-yaml")
    assert possible_packages("CRAN", "png") == {("cran", "png"), ("conda", "r-png")}
    assert possible_packages("Bitnami", "node") == {("conda", "nodejs")}
    assert len(possible_packages("PyPI", "-".join("a" * 100))) < 10


def test_every_alias_is_found_again_from_its_upstream() -> None:
    names = {name for table in known_names().is_.values() for name in table} | {"acme.tools_x", "r-acme"}
    both = origin_of({"depends": ["python", "r-base"]})
    for name in names:
        for one in resolve(aliases_of("conda", name, [both])):
            assert ("conda", name) in possible_packages(one.ecosystem, one.upstream)


def test_the_map_is_well_formed() -> None:
    known = known_names()
    assert sum(map(len, known.is_.values())) >= 200
    for table in (known.is_, known.is_not):
        for ecosystem, names in table.items():
            assert list(names) == sorted(names)
            for name, upstreams in names.items():
                assert upstreams and name == name.lower()
                assert [normalised(ecosystem, one) for one in upstreams] == list(upstreams)
    for ecosystem, names in known.is_not.items():
        for name, upstreams in names.items():
            assert not set(upstreams) & set(known.is_.get(ecosystem, {}).get(name, ()))


def test_the_map_is_part_of_what_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())
    shipped = project["tool"]["setuptools"]["package-data"]["packhouse"]
    assert "security/vulnerabilities/known_names.json" in shipped


_ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["pkg:pypi/a", "pkg:npm/@a/b@1", "python"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
_OBJECT = st.dictionaries(st.sampled_from(["version", "depends", "purls", "sources", "distributions"]), _ODD)


@given(st.sampled_from(["conda", "python", "cran", "x"]), st.text(), st.lists(st.tuples(_OBJECT, _OBJECT), max_size=4))
def test_no_record_is_too_odd(family: str, name: str, records: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    origins = [origin_of(record, facts) for record, facts in records]
    found = aliases_of(family, name, origins)
    assert found == aliases_of(family, name, reversed(origins))
    for one in resolve(found):
        assert not one.negative and normalised(one.ecosystem, one.upstream) == one.upstream
        possible_packages(one.ecosystem, one.upstream)


_provenances: st.SearchStrategy[Provenance] = st.sampled_from(STRENGTH[1:])  # corrections come by themselves
_aliases = st.builds(
    Alias,
    family=st.just("conda"),
    name=st.sampled_from("ab"),
    ecosystem=st.sampled_from(["PyPI", "CRAN"]),
    upstream=st.sampled_from(["x", "y", ANY]),
    provenance=_provenances,
    negative=st.booleans(),
)


@given(st.lists(_aliases), st.lists(_aliases), st.randoms())
def test_resolving_does_not_depend_on_order_and_obeys_corrections(
    aliases: list[Alias], others: list[Alias], random: Any
) -> None:
    corrections = [Alias(one.family, one.name, one.ecosystem, one.upstream,
                         "correction", one.negative) for one in others]  # fmt: skip
    found = resolve(aliases, corrections)
    shuffled = list(aliases)
    random.shuffle(shuffled)
    assert found == resolve(shuffled, reversed(corrections)) == resolve(found)
    assert len({(one.name, one.ecosystem, one.upstream) for one in found}) == len(found)
    for said in corrections:
        held = [one for one in found if (one.name, one.ecosystem) == (said.name, said.ecosystem)]
        if said.negative:
            assert not [one for one in held if said.upstream in (one.upstream, ANY)]
        elif said.upstream != ANY and not _denied(said, corrections):
            assert said in held


def _denied(said: Alias, corrections: list[Alias]) -> bool:
    return any(
        one.negative
        and (one.name, one.ecosystem) == (said.name, said.ecosystem)
        and one.upstream in (said.upstream, ANY)
        for one in corrections
    )
