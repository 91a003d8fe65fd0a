"""Which versions an advisory affects: on real records, on the odd cases, and against OSV's own words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from packhouse.security.vulnerabilities.advisory import Advisory, Affected, Event
from packhouse.security.vulnerabilities.matching import Evidence, Finding, match

RECORDS = Path(__file__).parent / "records" / "matching.json"


def read_record(record: dict[str, Any]) -> Advisory:
    affected = tuple(
        Affected(
            one["package"]["ecosystem"],
            one["package"]["name"],
            tuple(tuple(Event(*item) for event in held["events"] for item in event.items()) for held in one["ranges"]),
            tuple(one["versions"]),
        )
        for one in record["affected"]
    )
    return Advisory(record["id"], aliases=tuple(record["aliases"]), affected=affected)


REAL = {record["id"]: read_record(record) for record in json.loads(RECORDS.read_text())}


def turns(text: str) -> tuple[Event, ...]:
    """Return a range from a short text: >= introduced, < fixed, <= last affected, ~ limit."""
    kinds: dict[str, Any] = {">=": "introduced", "<": "fixed", "<=": "last_affected", "~": "limit"}
    return tuple(Event(kinds[word], version) for word, version in (part.split() for part in text.split(", ")))


def package(*ranges: str, listed: Sequence[str] = (), ecosystem: str = "PyPI") -> Affected:
    return Affected(ecosystem, "demo", tuple(map(turns, ranges)), tuple(listed))


def found_in(one: Affected, version: str, family: str = "python") -> Finding | None:
    """Return what an advisory with one entry says of one version."""
    found = match([Advisory("A-1", affected=(one,))], [(one.ecosystem, one.name)], [version], family)
    return found[0] if found else None


def affected_of(one: Affected, versions: Sequence[str], family: str = "python") -> list[str]:
    found = match([Advisory("A-1", affected=(one,))], [(one.ecosystem, one.name)], versions, family)
    return [versions[finding.version] for finding in found]


@pytest.mark.parametrize(
    ("record", "version", "fixed_in"),
    [
        ("PYSEC-2023-61", "3.2.18", "3.2.19"),
        ("PYSEC-2023-61", "3.2.19", ""),
        ("PYSEC-2023-61", "4.1", "4.1.9"),
        ("PYSEC-2023-61", "4.1.9", ""),
        ("PYSEC-2023-61", "4.2.0", "4.2.1"),
        ("PYSEC-2023-61", "4.2rc1", "4.2.1"),  # listed, and below the range
        ("PYSEC-2022-236", "3.1.1", "3.1.3"),  # fixed and introduced at 3.1.1
        ("PYSEC-2022-236", "3.1.3", ""),
        ("PYSEC-2022-42969", "1.11.0", None),  # last affected, never fixed
        ("PYSEC-2022-42969", "1.11.1", ""),
        ("PYSEC-2024-1", "0.5.0", None),  # no range at all
        ("PYSEC-2024-1", "0.5.1", ""),
        ("PYSEC-2023-177", "23.9.0.post1", None),  # listed, though the range says it is fixed
        ("PYSEC-2023-177", "23.9.0", None),  # the same, and no fix for itself
        ("BIT-apache-2021-42013", "2.4.50", "2.4.51"),
        ("BIT-apache-2021-42013", "2.4.48", ""),
        ("BIT-grafana-2025-4123", "12.0.0", ""),  # introduced and fixed at once: nothing between
        ("BIT-grafana-2025-4123", "11.6.0", "11.6.1"),
        ("BIT-sqlite-2024-0232", "3.50.2", None),  # never fixed
    ],
)
@pytest.mark.parametrize("family", ["conda", "python"])
def test_real_records(record: str, version: str, fixed_in: str | None, family: str) -> None:
    one = REAL[record].affected[0]
    found = found_in(one, version, family)
    assert (found is None) == (fixed_in == "")
    assert found is None or found.fixed_in == fixed_in


def test_the_evidence_names_the_range_that_holds_the_version() -> None:
    one = REAL["PYSEC-2023-61"].affected[0]
    found = found_in(one, "4.0.3", "conda")
    assert found is not None and found.fixed_in == "4.1.9"
    assert found.evidence == Evidence("PyPI", "django", "", "4.0", Event("fixed", "4.1.9"))


def test_the_evidence_names_the_listed_version_as_it_is_spelled_there() -> None:
    found = found_in(package(listed=["1.0"]), "1.0.0")
    assert found is not None and found.fixed_in is None
    assert found.evidence == Evidence("PyPI", "demo", listed="1.0")


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([">= 0, < 2"], "1.0 1.5 2.0a1"),
        (["< 2, >= 0"], "1.0 1.5 2.0a1"),  # the order in the file does not count
        ([">= 1.5, <= 2.0"], "1.5 2.0a1 2.0 2.0+cpu"),
        ([">= 2.0, <= 2.0"], "2.0 2.0+cpu"),
        ([">= 1.5"], "1.5 2.0a1 2.0 2.0+cpu 3.0"),
        (["< 1.5"], "1.0"),  # never introduced: from the beginning
        ([">= 0, ~ 2.0"], "1.0 1.5 2.0a1"),
        ([">= 0, < 3.0, ~ 1.5, ~ 2.0"], "1.0 1.5 2.0a1"),  # below any limit is below the highest
        ([">= 0, ~ *"], "1.0 1.5 2.0a1 2.0 2.0+cpu 3.0 garbage"),
        ([">= 0, < 1.5, >= 1.5, < 2.0a1"], "1.0 1.5"),
        ([">= 1.5, < 1.5"], ""),
        ([">= 2.0, < 1.5"], "2.0 2.0+cpu 3.0"),  # what is fixed before it begins does not end it
        ([">= 0, >= 1.5, < 2.0"], "1.0 1.5 2.0a1"),
        ([">= 0, < 1.5", ">= 2.0, < 3.0"], "1.0 2.0 2.0+cpu"),
        ([">= 0"], "1.0 1.5 2.0a1 2.0 2.0+cpu 3.0 garbage"),
        ([">= 1.5, < what?"], "1.5 2.0a1 2.0 2.0+cpu 3.0"),
        ([">= what?, < 1.5"], "1.0"),
        ([">= what?, < ever?"], ""),
        ([], ""),
    ],
)
def test_ranges(ranges: list[str], expected: str) -> None:
    versions = ["1.0", "1.5", "2.0a1", "2.0", "2.0+cpu", "3.0", "garbage"]
    assert affected_of(package(*ranges), versions) == expected.split()


@pytest.mark.parametrize("ecosystem", ["Bitnami", "CRAN", "conda"])
@pytest.mark.parametrize(
    ("held", "expected"),
    [(">= 1.0, <= 2.0", ["1.0", "2.0"]), (">= 1.0, < 2.0", ["1.0"]), (">= 1.0, <= 2.0, ~ 2.0", ["1.0"])],
)
def test_the_end_of_a_range_elsewhere_than_on_pypi(ecosystem: str, held: str, expected: list[str]) -> None:
    assert affected_of(package(held, ecosystem=ecosystem), ["0.9", "1.0", "2.0", "2.1"], "conda") == expected


def test_of_several_ranges_the_first_is_the_evidence_and_those_in_the_ecosystems_own_spelling_before_others() -> None:
    for ranges in [(">= 1.0, < 5.0", ">= 0, < 4.0"), (">= 0, < 4.0z", ">= 1.0, < 5.0")]:
        found = found_in(package(*ranges, ecosystem="Bitnami"), "2.0", "conda")
        assert found is not None
        assert (found.evidence.introduced, found.evidence.end) == ("1.0", Event("fixed", "5.0"))


def test_fixed_in_is_no_version_that_another_range_has_affected() -> None:
    one = package(">= 0, < 2", ">= 1, < 3", ">= 4, <= 5", ">= 6, < 7")
    found = [found_in(one, version) for version in ("0.5", "2", "4.5")]
    assert [hit and hit.fixed_in for hit in found] == ["3", "3", "7"]


def test_a_listed_release_is_also_listed_for_its_local_variants_but_not_the_other_way() -> None:
    versions = ["2.1", "2.1+cpu", "2.1+cu118"]
    assert affected_of(package(listed=["2.1"]), versions) == versions
    assert affected_of(package(listed=["2.1+cpu"]), versions) == ["2.1+cpu"]


def test_what_is_no_version_is_affected_when_it_is_listed_letter_by_letter() -> None:
    assert affected_of(package(">= 0, < 9", listed=["0.1-bulbasaur"]), ["0.1-bulbasaur", "0.1-charmander"]) == [
        "0.1-bulbasaur"
    ]


def test_openssl_letters_against_semver_ranges() -> None:
    one = package(">= 1.1.1, < 1.1.1l", ">= 3.0.0, < 3.0.7", ecosystem="Bitnami")
    versions = ["1.1.0", "1.1.1", "1.1.1a", "1.1.1k", "1.1.1l", "1.1.1w", "3.0.2"]
    assert affected_of(one, versions, "conda") == ["1.1.1", "1.1.1a", "1.1.1k", "3.0.2"]
    assert affected_of(package(">= 1.1.1, < 1.1.2", ecosystem="Bitnami"), versions, "conda") == versions[1:6]


def test_conda_spells_upstream_versions_its_own_way() -> None:
    assert affected_of(package(">= 0, < 7.1.1-30", ecosystem="Bitnami"), ["7.1.1_29", "7.1.1_30"], "conda") == [
        "7.1.1_29"
    ]
    assert affected_of(package(">= 0, < 1.2-3", ecosystem="CRAN"), ["1.2_2", "1.2_3"], "conda") == ["1.2_2"]
    assert affected_of(package(">= 0, < 2"), ["1.0_1", "2.0_1"], "conda") == ["1.0_1"]
    assert affected_of(package(listed=["1.0-1"]), ["1.0_1", "1.0.post1", "1.0"], "conda") == ["1.0_1", "1.0.post1"]


def test_only_the_names_asked_for_match_and_each_advisory_and_version_once() -> None:
    other = Affected("PyPI", "other", (turns(">= 0"),))
    twice = Advisory(
        "GHSA-1", aliases=("CVE-2026-1", "CVE-2026-2"), affected=(package(">= 0, < 2"), package(">= 1"), other)
    )
    found = match([Advisory("X", affected=(other,)), twice], [("PyPI", "demo"), ("npm", "other")], ["3", "1"], "python")
    assert [(one.version, one.advisory, one.keys, one.fixed_in) for one in found] == [
        (0, 1, ("CVE-2026-1", "CVE-2026-2"), None),
        (1, 1, ("CVE-2026-1", "CVE-2026-2"), "2"),
    ]


def test_a_withdrawn_advisory_affects_nothing() -> None:
    withdrawn = Advisory("A-1", withdrawn_at=1, affected=(package(">= 0", listed=["1.0"]),))
    assert match([withdrawn], [("PyPI", "demo")], ["1.0"], "python") == []


# --- properties -----------------------------------------------------------------------------------------------------

PUBLIC = ["0", "0.9", "1.0", "1.0.0", "1.0.post1", "1.1a1", "1.1rc1", "1.1", "1.2", "1.10", "2.0.dev1", "2.0"]
POOL = [*PUBLIC, "1.0+cpu", "1.1+cu118", "1.1a1+x", "2.1"]
ODD = [
    *POOL,
    "1.0_1",
    "1.1.1k",
    "1.1.1",
    "1.1.1_2",
    "1.0-rc.1",
    "2004d",
    "garbage!",
    "",
    "1-2_3",
    "nightly.2026-03-10.0",
]
KINDS: list[Any] = ["introduced", "fixed", "last_affected", "limit"]


def events(versions: list[str]) -> st.SearchStrategy[tuple[Event, ...]]:
    return st.lists(st.builds(Event, st.sampled_from(KINDS), st.sampled_from(versions)), max_size=7).map(tuple)


def osv_holds(version: Version, held: tuple[Event, ...]) -> bool:
    """Say whether a range holds a version: OSV's pseudo-code, for one version, with nothing clever."""
    limits = [Version(event.version) for event in held if event.kind == "limit"]
    if limits and not any(version < limit for limit in limits):
        return False
    walk = [event for event in held if event.kind != "limit"]
    vulnerable = bool(walk) and not any(event.kind == "introduced" for event in walk)
    for at in sorted({Version(event.version) for event in walk}):
        here = {event.kind for event in walk if Version(event.version) == at}
        zero = any(event == Event("introduced", "0") for event in walk if Version(event.version) == at)
        if zero or version >= at:
            if zero:  # before all, so whatever else is at 0 comes after it
                vulnerable = True
                here.discard("introduced")
            if version >= at and not {"introduced", "fixed"} <= here:
                vulnerable = vulnerable or "introduced" in here
                vulnerable = vulnerable and "fixed" not in here
        if "last_affected" in here and version not in SpecifierSet(f"<={at}", prereleases=True):
            vulnerable = False
    return vulnerable


@settings(max_examples=500, deadline=None)
@given(st.lists(events(PUBLIC), max_size=3), st.lists(st.sampled_from(PUBLIC), max_size=3))
def test_matching_is_what_osv_says(ranges: list[tuple[Event, ...]], listed: list[str]) -> None:
    one = Affected("PyPI", "demo", tuple(ranges), tuple(listed))
    expected = [
        text
        for text in POOL
        if any(osv_holds(Version(text), held) for held in ranges)
        or any(Version(text) in SpecifierSet(f"=={version}", prereleases=True) for version in listed)
    ]
    assert affected_of(one, POOL) == expected


@st.composite
def advisories(draw: st.DrawFn) -> Advisory:
    entry = st.builds(
        Affected,
        st.sampled_from(["PyPI", "Bitnami", "CRAN", "conda"]),
        st.sampled_from(["demo", "other"]),
        st.lists(events(ODD), max_size=2).map(tuple),
        st.lists(st.sampled_from(ODD), max_size=3).map(tuple),
    )
    withdrawn = draw(st.sampled_from([None, None, None, 1]))
    return Advisory("A-1", withdrawn_at=withdrawn, affected=tuple(draw(st.lists(entry, max_size=3))))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(advisories(), max_size=4),
    st.lists(st.sampled_from(ODD), max_size=12),
    st.sampled_from(["conda", "python", "cran"]),
)
def test_all_at_once_is_one_by_one(known: list[Advisory], versions: list[str], family: str) -> None:
    names = [("PyPI", "demo"), ("Bitnami", "demo"), ("CRAN", "demo"), ("conda", "other")]
    expected = []
    for number, advisory in enumerate(known):
        for row, version in enumerate(versions):
            entries = [one for one in advisory.affected if (one.ecosystem, one.name) in names]
            hits = [found_in(one, version, family) for one in entries]
            hit = next((hit for hit in hits if hit is not None), None)
            if hit is not None and advisory.withdrawn_at is None:
                expected.append((row, number, hit.fixed_in, hit.evidence))
    found = match(known, names, versions, family)
    assert [(one.version, one.advisory, one.fixed_in, one.evidence) for one in found] == expected
