"""Each rule against an oracle that is written as simply as can be, and the cases that matter one by one."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.clock import DAY, from_iso
from packhouse.core.errors import PackhouseError
from packhouse.security.policies.batch import Batch, File
from packhouse.security.policies.findings import Known
from packhouse.security.policies.policy import Rules, edited
from packhouse.security.policies.reserved import Reserved
from packhouse.security.policies.rules.license import family
from packhouse.security.policies.specs import Specs, compile_for
from tests.unit.security.policies.making import FILES, KNOWN, NOW, conda, decided, file, seen, some

COMPARE = {"==": operator.eq, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
CHANNEL = st.lists(FILES, max_size=8)


def vulnerable(*found: tuple[Known, str]) -> File:
    return file(findings=found)


def passes_cve(file: File, rules: Rules) -> bool:
    """Say what the reference says, in the words of the reference."""
    allowed = {name.upper() for name in rules.cve_allowlist}
    counted = [
        (known, status)
        for known, status in file.findings
        if known.kind != "malware" and not allowed & {known.key.upper(), *(alias.upper() for alias in known.aliases)}
    ]
    wants = bool(rules.cve_score) and rules.cve_score_comparator in (">", ">=", "==")
    if not counted:
        return not wants
    if rules.exclude_uncurated_cve_packages and any(status == "reported" for _, status in counted):
        return False
    answers = []
    if rules.cve_score is not None:
        scores = [known.score for known, _ in counted if known.score >= 0]
        answers.append(
            COMPARE[rules.cve_score_comparator](max(scores), round(rules.cve_score * 10)) if scores else not wants
        )
    if rules.cve_status or rules.exclude_cve_status:
        include = rules.cve_status or ["reported", "active", "mitigated", "cleared", "disputed"]
        answers.append(all(one in include and one not in rules.exclude_cve_status for _, one in counted))
    return (all if rules.cve_link_status_and_score == "and" else any)(answers) if answers else True


CVE_RULES = st.fixed_dictionaries(
    {},
    optional={
        "cve_score": st.sampled_from([None, 0, 3.1, 7, 9.8]),
        "cve_score_comparator": st.sampled_from(sorted(COMPARE)),
        "cve_status": some(["reported", "active", "cleared"]),
        "exclude_cve_status": some(["disputed", "mitigated"]),
        "cve_link_status_and_score": st.sampled_from(["and", "or"]),
        "cve_allowlist": some(["CVE-2024-2", "ghsa-aaaa"]),
        "exclude_uncurated_cve_packages": st.booleans(),
    },
).map(lambda found: edited(Rules(keep_legacy_packages=True, malware="allow"), found))


@given(files=CHANNEL, rules=CVE_RULES)
def test_vulnerabilities_as_the_reference_says(files: list[File], rules: Rules) -> None:
    found = decided(conda(*files), rules)
    assert found.seen.tolist() == [passes_cve(file, rules) and not file.quarantined for file in files]


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ({"cve_score": 7}, [True, False, True, True, True]),
        ({"cve_score": 7, "cve_score_comparator": "<"}, [True, False, False, True, True]),
        ({"cve_score": 7, "cve_score_comparator": ">="}, [False, True, True, False, False]),
        ({"cve_score": 0, "cve_score_comparator": ">="}, [True, True, True, True, True]),
        ({"cve_score": 7, "unknown_vulnerabilities": "hide"}, [True, False, True, True, False]),
        ({"cve_status": ["cleared"]}, [True, False, False, True, False]),
        (
            {"cve_score": 3, "cve_status": ["cleared"], "cve_link_status_and_score": "or"},
            [True, False, False, True, True],
        ),
        ({"cve_score": 3, "settled_vulnerabilities": "ignore"}, [True, False, False, True, True]),
        ({"cve_score": 7, "cve_allowlist": ["ghsa-AAAA"]}, [True, True, True, True, True]),
    ],
)  # fmt: skip
def test_vulnerabilities_case_by_case(rules: dict[str, Any], passes: list[bool]) -> None:
    files = [
        vulnerable(),
        vulnerable((KNOWN[0], "reported"), (KNOWN[2], "cleared")),
        vulnerable((KNOWN[1], "active")),
        vulnerable((KNOWN[2], "cleared")),
        vulnerable((KNOWN[3], "reported")),
    ]
    assert seen(files, **rules) == passes


def test_the_evidence_names_the_worst() -> None:
    found = decided(conda(vulnerable((KNOWN[2], "active"), (KNOWN[0], "reported"))), Rules(cve_score=7))
    reason = found.reason(0)
    assert reason is not None and reason.rule == "cve"
    assert reason.evidence["text"] == (
        "it has CVE-2024-1 (9.8, reported), CVE-2024-3 (3.1, active); kept is a score <= 7.0"
    )
    assert reason.evidence["cves"][0] == {"cve": "CVE-2024-1", "score": 9.8, "status": "reported"}


def test_the_evidence_of_malware_has_the_same_form() -> None:
    reason = decided(conda(vulnerable((KNOWN[4], "active"), (KNOWN[0], "reported"))), Rules()).reason(0)
    assert reason is not None and reason.evidence == {
        "text": "MAL-2024-1 says that it is malware",
        "cves": [{"cve": "MAL-2024-1", "score": None, "status": "active"}],
        "count": 1,
    }


LICENSES = [
    ("MIT", "MIT"), ("MIT OR GPL-3.0-only", "MIT"), ("MIT AND GPL-3.0-only", "GPL3"),
    ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL2"), ("Zlib", "OTHER"), ("", "None"),
    ("Apache-2.0 AND (MIT OR AGPL-3.0)", "APACHE"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ({"license": ["mit"]}, "1100000"),
        ({"license": ["MIT", "apache"]}, "1100001"),
        ({"license_not": ["gpl3"]}, "1101111"),
        ({"license_not": ["mit"]}, "0101111"),
        ({"license_not": ["agpl", "MIT"]}, "0101110"),
        ({"license": ["GPL-2.0-only"]}, "0001000"),
        ({"license": ["zlib", "none"]}, "0000110"),
        ({"license": ["gpl3"], "license_exception": ["numpy"]}, "1111111"),
        ({"license": ["gpl3"], "license_exception": ["other"]}, "0100000"),
    ],
)
def test_licences(rules: dict[str, Any], passes: str) -> None:
    files = [file(license=text, license_family=stated) for text, stated in LICENSES]
    assert "".join(str(int(one)) for one in seen(files, **rules)) == passes


def test_licence_words_in_every_spelling() -> None:
    assert [family(word) for word in ("mit", "public_domain", "Public-Domain", "gpl3", "NONE")] == [
        "MIT", "Public-Domain", "Public-Domain", "GPL3", "None",
    ]  # fmt: skip
    with pytest.raises(PackhouseError, match="Known are"):
        family("weird")


def test_a_window_of_dates_has_its_ends() -> None:
    times = ["2023-12-31T23:59:59", "2024-01-01", "2024-01-31T23:59:59", "2024-02-01"]
    files = [*(file(published_at=from_iso(time)) for time in times), file()]
    rules = {"package_created_from": "2024-01-01", "package_created_to": "2024-01-31"}
    assert seen(files, **rules) == [False, True, True, False, False], "without a date it is older than every other"


def test_only_what_a_trusted_key_signed() -> None:
    assert seen([file(), file(signed=True)], only_signed_packages=True) == [False, True]


def test_of_each_file_only_the_newer_form() -> None:
    files = [file(), file(legacy=True), file(version="2.0", legacy=True), file(legacy=True, build="1")]
    assert seen(files, keep_legacy_packages=False) == [True, False, True, True]
    assert seen(files) == [True, True, True, True]


@given(files=CHANNEL, only=some(["numpy", "py-*", "*", "python >=3", "conda:r-base", "* 2.0 py311*"], 3))
def test_names_select_what_each_spec_selects(files: list[File], only: list[str]) -> None:
    batch = conda(*files)
    selected = Specs(only).select(batch)
    for row, one in enumerate(files):
        matchers = [compile_for("conda", text) for text in only]
        wanted = any(
            matcher.matches(one.name, one.version, one.build, one.build_number) for matcher in matchers if matcher
        )
        assert selected[row] == wanted == (Specs(only).first(batch, row) is not None)


def test_exceptions_override_only_exclusions() -> None:
    files = [file(), file(version="2.0"), file(license_family="GPL3"), file("other")]
    rules = {
        "exclude_package_name": ["NumPy"],
        "exclude_package_name_exception": ["numpy ==1.0"],
        "license_not": ["gpl3"],
    }
    assert seen(files, **rules) == [True, False, False, True]


def test_a_rule_of_another_family_selects_nothing_here() -> None:
    with pytest.raises(PackhouseError, match="names no package family"):
        Specs(["nonsense:numpy"])
    assert not Specs(["conda:numpy"]).select(Batch.of("other", [File("numpy", "1.0")]))[0]


def test_platforms_bring_the_noarch_files_they_need() -> None:
    files = [
        file("app", partition="linux-64"),
        file("app", partition="win-64"),
        file("lib"),
        file("lone"),
        file("deep"),
    ]
    depends = [["lib >=1"], ["lone"], ["deep"], [], []]
    found = decided(conda(*files), Rules(platform=["linux-64"]), depends)
    assert found.seen.tolist() == [True, False, True, False, True]
    assert seen(files, platform=["linux-64", "noarch"]) == [True, False, True, True, True]
    assert seen(files, platform_not=["noarch"]) == [True, True, False, False, False]


def test_names_bring_what_they_need_as_far_as_it_passes_the_rest() -> None:
    files = [
        file("app"),
        file("lib", "1"),
        file("lib", "2"),
        file("deep"),
        file("other"),
        file("bad", license_family="GPL3"),
    ]
    depends = [["lib >=2", "bad", "nowhere"], [], ["deep", "app"], [], [], []]
    rules = Rules(package_name=["app"], include_dependencies=True, license_not=["gpl3"])
    found = decided(conda(*files), rules, depends)
    assert found.seen.tolist() == [True, False, True, True, False, False]
    assert seen(files, package_name=["app"]) == [True, False, False, False, False, False]


def test_what_cannot_be_installed_any_more_goes_too() -> None:
    files = [file("a"), file("b"), file("c"), file("d"), file("c", "2"), file("free")]
    depends = [["b"], ["c <2", "never-here"], [], ["c"], [], ["never-here"]]
    rules = Rules(exclude_package_name=["c ==1.0"], whole_closure=True)
    found = decided(conda(*files), rules, depends)
    assert found.seen.tolist() == [False, False, False, True, True, True]
    reason = found.reason(0)
    assert reason is not None and (reason.rule, reason.evidence["missing"]) == ("whole_closure", "b")


def test_the_newest_that_may_be_seen() -> None:
    files = [
        file(version="1.9"),
        file(version="1.10"),
        file(version="2", license_family="GPL3"),
        file(version="1.10", build="1"),
    ]
    assert seen(files, latest_only=True, license_not=["gpl3"]) == [False, True, False, True]


def test_mirrored_files_wait_until_they_are_old_enough() -> None:
    week, young = NOW - 7 * DAY, NOW - DAY
    files = [
        file(mirrored=True, first_seen_at=young, published_at=0),
        file(mirrored=True, first_seen_at=week),
        file(first_seen_at=young),
        file(mirrored=True),
        file(mirrored=True, published_at=young),
        file(mirrored=True, published_at=NOW + DAY),
    ]
    assert seen(files, minimum_age_days=7) == [False, True, True, True, False, False]
    reason = decided(conda(*files), Rules(minimum_age_days=7)).reason(0)
    assert reason is not None and reason.until == young + 7 * DAY


def test_the_release_that_fixes_what_is_exploited_does_not_wait() -> None:
    new: dict[str, Any] = {"mirrored": True, "first_seen_at": NOW - DAY}
    bad: dict[str, Any] = {"findings": ((KNOWN[0], "reported"),)}
    files = [file(version="1.0", **bad), file(version="1.1", **new, **bad)]
    files += [file(version="1.2", **new), file(version="1.3", **new)]
    assert seen(files, minimum_age_days=7) == [True, False, True, False]
    files[0] = file(version="1.0", findings=((KNOWN[1], "reported"),))
    files[1] = file(version="1.1", **new)
    assert seen(files, minimum_age_days=7) == [True, False, False, False], "not for what nobody exploits"


def test_code_at_install_time() -> None:
    files = [file(), file(install_code=True), file(held=False), file(held=False, install_code=True)]
    assert seen(files, install_time_code="hide") == [True, False, True, True]
    assert seen(files, install_time_code="hide", missing_facts="hide") == [True, False, False, False]


def test_unknown_is_not_clean() -> None:
    assert seen([file(mapped=False), file()], unknown_vulnerabilities="hide") == [False, True]


def test_versions_of_python() -> None:
    files = [file(python=asked) for asked in ("", ">=3.9", ">=3.12", "3.11.*", "<3", ">=3.11.4", ">>>3")]
    assert seen(files, python_versions=["3.11"]) == [True, True, False, True, False, True, True]


def test_a_reserved_name_is_never_offered_from_a_mirror() -> None:
    files = [
        file("acme-core", mirrored=True),
        file("acme-core"),
        file("own", mirrored=True),
        file("numpy", mirrored=True),
    ]
    found = decided(conda(*files), Rules(), reserved=Reserved({"conda": ["own"]}, ["acme-*"]))
    assert found.seen.tolist() == [False, True, False, True]
    reason = found.reason(0)
    assert reason is not None and reason.evidence["reserved"] == "acme-*"
