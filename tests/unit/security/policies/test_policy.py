"""The document a user edits: every field is checked, and equal rules are equal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.security.policies.checking import check
from packhouse.security.policies.compiling import RULES as KEYS
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.policy import NO_POLICY, Rules, decode, digest, edited, encode
from packhouse.security.policies.summary import does_not_apply, summarise, warnings
from tests.unit.security.policies.making import RULES


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cve_scor": 7}, "cve_scor"),
        ({"cve_score": "7"}, "cve_score"),
        ({"cve_score": 7.25}, "cve_score"),
        ({"cve_score": 11}, "cve_score"),
        ({"cve_score": float("nan")}, "cve_score"),
        ({"cve_score": True}, "cve_score"),
        ({"cve_score_comparator": "=<"}, "cve_score_comparator"),
        ({"cve_status": ["open"]}, "cve_status"),
        ({"cve_status": ["active"], "exclude_cve_status": ["active"]}, "cve_status"),
        ({"cve_allowlist": ["not an id"]}, "cve_allowlist"),
        ({"platform": "linux-64"}, "platform"),
        ({"platform": ["linux 64"]}, "platform"),
        ({"platform": ["win-64"], "platform_not": ["win-64"]}, "platform"),
        ({"license": ["M" * 1_000_000]}, "license"),
        ({"license": ["mitt"]}, "license"),
        ({"license": [3]}, "license"),
        ({"license": ["mit"], "license_not": ["MIT"]}, "license"),
        ({"package_name": ["a"] * 10_001}, "package_name"),
        ({"package_name": ["numpy >>> 3"]}, "package_name"),
        ({"package_name": ["cobol:thing"]}, "package_name"),
        ({"package_name": [" "]}, "package_name"),
        ({"package_created_from": "2024-02-30"}, "package_created_from"),
        ({"package_created_from": "2024-02-01", "package_created_to": "2024-01-01"}, "package_created_from"),
        ({"package_name": ["a"], "include_dependencies": True, "exclude_dependencies": True}, "include_dependencies"),
        ({"exclude_package_name_exception": ["a"]}, "exclude_package_name_exception"),
        ({"minimum_age_days": -1}, "minimum_age_days"),
        ({"minimum_age_days": 10**9}, "minimum_age_days"),
        ({"python_versions": ["three"]}, "python_versions"),
        ({"malware": "maybe"}, "malware"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(PackhouseError, match=field) as refused:
        check(edited(Rules(), changes))
    assert refused.value.code == "bad_request"
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize("field", Rules.__struct_fields__)
@pytest.mark.parametrize("nothing", ["", [], None])
def test_nothing_clears_every_field(field: str, nothing: object) -> None:
    before = Rules(platform=["noarch"], cve_score=7, license=["mit"], latest_only=True, malware="allow")
    assert getattr(edited(before, {field: nothing}), field) == getattr(Rules(), field)


def test_an_edit_replaces_and_does_not_merge() -> None:
    before = edited(Rules(), {"license": ["mit", "bsd"], "cve_score": 7})
    assert edited(before, {"license": ["psf"]}) == Rules(license=["psf"], cve_score=7)


@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_any_value_anywhere_is_taken_or_refused(value: object) -> None:
    for field in Rules.__struct_fields__:
        try:
            compile_rules(edited(Rules(), {field: value}))
        except PackhouseError as error:
            assert error.code == "bad_request"


@given(rules=RULES)
def test_rules_are_stored_and_read_again(rules: Rules) -> None:
    again = decode(encode(rules))
    assert digest(again) == digest(rules)
    assert [rule.key for rule in compile_rules(again).rules] == [rule.key for rule in compile_rules(rules).rules]


def test_equal_rules_have_equal_digests_and_others_have_not() -> None:
    assert digest(Rules(license=["mit", "bsd"])) == digest(Rules(license=["bsd", "mit", "mit"]))
    assert digest(Rules(cve_score=7)) == digest(Rules(cve_score=7.0, cve_link_status_and_score="or"))
    assert digest(Rules(include_dependencies=True)) == digest(Rules())
    several = [
        Rules(),
        NO_POLICY,
        Rules(cve_score=7),
        Rules(cve_score=0),
        Rules(license=["mit"]),
        Rules(license_not=["mit"]),
    ]
    assert len({digest(rules) for rules in several}) == len(several)


def test_what_is_no_policy_is_not_read() -> None:
    for text in (b"", b"[]", b'{"cve_scores": 1}', b"\xff"):
        with pytest.raises(PackhouseError):
            decode(text)


@given(rules=RULES)
def test_every_policy_can_be_said_in_words(rules: Rules) -> None:
    said = summarise(rules)
    assert all(one.endswith(".") for one in [*said, *warnings(rules)])
    assert not rules.whole_closure or "can no longer be installed" in said[-1]


def test_a_summary_in_plain_words() -> None:
    rules = Rules(
        platform=["linux-64"], license_not=["gpl3", "agpl"], cve_score=7, cve_status=["mitigated", "cleared"],
        cve_link_status_and_score="or", exclude_package_name=["acme-*"], minimum_age_days=7,
    )  # fmt: skip
    assert summarise(rules) == [
        "Files in quarantine are hidden.",
        "Malware is hidden.",
        "Only files for linux-64 are kept, and the noarch files that they need.",
        "Files licensed under agpl or gpl3 are hidden.",
        "A .tar.bz2 file is hidden where the same package is there as .conda.",
        "Files with vulnerabilities are kept only if their highest score is <= 7.0 "
        "or all of them are cleared or mitigated.",
        "acme-* are hidden.",
        "Mirrored files are hidden for 7 days after they were first seen, "
        "unless they fix a vulnerability that is being exploited.",
    ]


def test_surprises_are_told() -> None:
    assert any("do not pass" in one for one in warnings(Rules(cve_score=7, cve_score_comparator=">=")))
    assert any("without a score" in one for one in warnings(Rules(cve_score=7)))
    assert warnings(Rules()) == []
    assert does_not_apply(Rules(platform=["noarch"], license=["mit"]), "python") == ["platform"]


@given(rules=RULES)
def test_every_rule_has_a_key_that_a_waiver_can_name(rules: Rules) -> None:
    keys = list(dict.fromkeys(rule.key for rule in compile_rules(rules).rules))
    assert [key for key in KEYS if key in keys] == keys
