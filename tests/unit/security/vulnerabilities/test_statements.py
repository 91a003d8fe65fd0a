"""Statements: whose word counts, for which files, and that it outlives feeds and versions."""

from __future__ import annotations

import random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.advisory import Advisory, Said, Status
from packhouse.security.vulnerabilities.statements import (
    SEVERITY,
    File,
    Judged,
    Judgements,
    Statement,
    check,
    most_severe,
    statements_of,
)

CVE = "CVE-2024-1"
ONE, TWO = "1" * 64, "2" * 64
FILE = File("3.2.1", "py39_1", 1, ONE, "linux-64")


def say(status: Judged = "cleared", **more: Any) -> Statement:
    return Statement(CVE, "conda", "numpy", status, **more)


def about_numpy(*statements: Statement) -> Judgements:
    return Judgements("conda", "numpy", statements)


def refused(statement: Statement) -> str:
    with pytest.raises(PackhouseError) as caught:
        check(statement)
    assert caught.value.code == "bad_request"
    return caught.value.message


def test_a_finding_nobody_judged_is_reported() -> None:
    assert about_numpy().status_of(CVE, [], FILE) == ("reported", None)
    assert about_numpy(say(spec=">=4")).status_of(CVE, [], FILE) == ("reported", None)
    assert about_numpy(say()).status_of("CVE-2024-2", [], FILE) == ("reported", None)


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        (say(origin="user", at=1), say("active", origin="feed:main", sha256=ONE, at=9)),
        (say(origin="feed:main", at=1), say("active", origin="builder", sha256=ONE, at=9)),
        (say(sha256=ONE, at=1), say("active", spec="3.2.1 py39_1", at=9)),
        (say(spec=">=3", at=2), say("active", spec="3.2.1 py39_1", at=1)),
        (say("active"), say("cleared")),
    ],
)
def test_whose_word_counts(stronger: Statement, weaker: Statement) -> None:
    for order in ([stronger, weaker], [weaker, stronger]):
        assert about_numpy(*order).status_of(CVE, [], FILE) == (stronger.status, stronger)


def test_a_decision_holds_for_the_next_version_in_its_range_and_not_beyond() -> None:
    mine = say(spec=">=3.2,<4", at=5)
    feed = say("active", origin="feed:main", at=99)
    judged = about_numpy(mine, feed)
    files = [File(version) for version in ("3.1", "3.2", "3.3.7", "4.0")]
    assert [status for status, _ in judged.statuses(CVE, [], files)] == ["active", "cleared", "cleared", "active"]


def test_a_statement_about_an_alias_counts_however_it_is_spelt() -> None:
    judged = about_numpy(Statement("ghsa-AAAA-bbbb-cccc", "conda", "numpy", "disputed"))
    assert judged.status_of(CVE, ["PYSEC-1", "GHSA-aaaa-bbbb-cccc"], FILE)[0] == "disputed"
    assert judged.status_of(CVE, ["PYSEC-1"], FILE)[0] == "reported"


def test_a_spec_may_ask_for_build_number_and_subdir() -> None:
    judged = about_numpy(say(spec="* *[build_number='>=1', subdir=linux-64]"))
    other = FILE._replace(partition="win-64"), FILE._replace(build_number=0)
    assert [status for status, _ in judged.statuses(CVE, [], [FILE, *other])] == ["cleared", "reported", "reported"]


def test_statements_about_other_packages_do_not_count() -> None:
    other = Statement(CVE, "conda", "scipy", "cleared")
    assert about_numpy(other).status_of(CVE, [], FILE) == ("reported", None)


_STATEMENTS = st.builds(
    Statement,
    st.sampled_from([CVE, "CVE-2024-2", "GHSA-x"]),
    st.just("conda"),
    st.just("numpy"),
    st.sampled_from(get_args(Judged)),
    spec=st.sampled_from(["", ">=2", "<2", "1.* py39_*", "2.0 py310_0"]),
    at=st.integers(0, 3),
    origin=st.sampled_from(["user", "feed:a", "feed:b", "builder"]),
)
_OF_ONE = st.builds(
    lambda one, sha: Statement(one.vulnerability, "conda", "numpy", one.status, sha256=sha, at=one.at),
    _STATEMENTS,
    st.sampled_from([ONE, TWO]),
)
_FILES = st.lists(
    st.builds(
        File, st.sampled_from(["1.0", "2.0", "2.1"]), st.sampled_from(["py39_0", "py310_0"]), st.just(0),
        st.sampled_from([ONE, TWO, ""]),
    ),
    max_size=8,
)  # fmt: skip


@given(st.lists(st.one_of(_STATEMENTS, _OF_ONE), max_size=8), _FILES, st.randoms())
def test_a_batch_says_what_one_file_does_in_any_order(
    statements: list[Statement], files: list[File], dice: random.Random
) -> None:
    together = about_numpy(*statements).statuses(CVE, ["GHSA-x"], files)
    shuffled = dice.sample(statements, len(statements))
    assert together == [about_numpy(*shuffled).status_of(CVE, ["GHSA-x"], file) for file in files]


@given(st.lists(_STATEMENTS, max_size=6), _FILES)
def test_what_users_said_is_not_changed_by_what_others_say(statements: list[Statement], files: list[File]) -> None:
    users = [one for one in statements if one.origin == "user"]
    mine = about_numpy(*users).statuses(CVE, [], files)
    everybody = about_numpy(*statements).statuses(CVE, [], files)
    assert [new for new, old in zip(everybody, mine, strict=True) if old[1]] == [old for old in mine if old[1]]


def test_the_worst_status() -> None:
    assert most_severe([]) is None
    assert most_severe(["cleared"]) == "cleared"
    expected: list[Status] = ["active", "reported", "disputed", "mitigated", "cleared"]
    for index, status in enumerate(expected):
        assert most_severe(reversed(expected[index:])) == status
    assert tuple(expected) == SEVERITY


def test_a_curated_feed_judges_every_cve_of_an_advisory() -> None:
    said = (
        Said("conda", "numpy", ">=3", "mitigated", "patched"),
        Said("conda", "numpy", ">=3", "cleared", sha256=ONE.upper()),
        Said("conda", "numpy", "", "reported"),
    )
    advisory = Advisory("GHSA-x", aliases=("CVE-2024-1", "CVE-2024-2"), modified_at=7, said=said)
    found = [check(one) for one in statements_of(advisory, "main", 5)]
    assert [(one.vulnerability, one.status, one.spec, one.sha256) for one in found] == [
        ("CVE-2024-1", "mitigated", ">=3", ""),
        ("CVE-2024-2", "mitigated", ">=3", ""),
        ("CVE-2024-1", "cleared", "", ONE),
        ("CVE-2024-2", "cleared", "", ONE),
    ]
    assert {(one.origin, one.author, one.at) for one in found} == {("feed:main", "main", 7)}


@pytest.mark.parametrize(
    "spec",
    [
        ">=", "==1.2.3.", "::scipy", "[name=scipy]", "* *[channel=main]", "[version=1][channel=main]", "x" * 3000,
        "1.0\0", '* *[sha256="00"]', "[" * 1000, "[" * 500 + "]" * 500,
    ],
)  # fmt: skip
def test_a_spec_that_cannot_be_understood_or_asks_for_more_is_refused(spec: str) -> None:
    assert "`spec`" in refused(say(spec=spec))
    with pytest.raises(PackhouseError):
        about_numpy(say(spec=spec))


@pytest.mark.parametrize("build", ["0 junk", "0;junk", "(a)", "a=b", "^py", "a|b", "caf\u00e9"])
def test_a_build_that_no_file_can_have_is_refused(build: str) -> None:
    for spec in (f"1.0 {build}", f"* *[build='{build}']"):
        assert f"build {build!r}" in refused(say(spec=spec)), spec


@pytest.mark.parametrize("build", ["0", "py39_*", "*_cpython", "py3?_0", "h1.2+3_0", "^py3[89]_(0|1)$"])
def test_a_build_may_be_a_pattern(build: str) -> None:
    assert check(say(spec=f"* *[build='{build}']"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vulnerability", ""), ("vulnerability", "CVE\n1"), ("name", " "), ("author", "a\0"), ("note", "\0"),
        ("note", "x" * 10_001), ("status", "reported"), ("origin", "feed:"), ("origin", "feed:a\n"), ("at", -1),
        ("at", 10**30), ("sha256", "F" * 64), ("sha256", "1"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_used_is_named(field: str, value: Any) -> None:
    fields = {"vulnerability": CVE, "family": "conda", "name": "numpy", "status": "cleared", field: value}
    named = "cve" if field == "vulnerability" else field
    assert f"`{named}`" in refused(Statement(**fields))


def test_one_file_and_a_spec_exclude_each_other() -> None:
    assert "`sha256`" in refused(say(spec=">=1", sha256=ONE))


def test_a_family_we_do_not_know_is_refused() -> None:
    with pytest.raises(PackhouseError) as caught:
        check(Statement(CVE, "npm", "left-pad", "cleared"))
    assert caught.value.code == "unsupported_type"
