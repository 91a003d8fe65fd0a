"""Explanations replay to the decision, waivers lift what they name and end, simulations say what then happens."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.clock import DAY
from packhouse.core.errors import PackhouseError
from packhouse.security.policies.batch import File
from packhouse.security.policies.decide import Decisions, decide
from packhouse.security.policies.demands import Demands
from packhouse.security.policies.explain import explain
from packhouse.security.policies.needs import Needs
from packhouse.security.policies.policy import NO_POLICY, Rules
from packhouse.security.policies.simulate import simulate
from packhouse.security.policies.specs import Specs
from packhouse.security.policies.waivers import GRAVE, Waiver, check_waiver, lifted
from tests.unit.security.policies.making import DEPENDS, FILES, KNOWN, NOW, RULES, conda, decided, file, some

CHANNEL = st.lists(FILES, max_size=6)
WAIVERS = st.lists(
    st.builds(
        Waiver,
        id=st.integers(1, 9),
        family=st.just("conda"),
        spec=st.sampled_from(["numpy", "*", "py-a 1.0.*", "python >=3"]),
        until=st.sampled_from([NOW, NOW + 1, NOW + DAY]),
        rules=some(["cve", "license", "quarantine", "malware", "minimum_age"]).map(tuple),
        cves=some(["CVE-2024-2", "GHSA-AAAA", "MAL-2024-1"]).map(tuple),
    ),
    max_size=3,
    unique_by=lambda one: one.id,
)


@given(files=CHANNEL, rules=RULES, depends=DEPENDS)
def test_an_explanation_replays_to_the_decision(files: list[File], rules: Rules, depends: list[list[str]]) -> None:
    found = decided(conda(*files), rules, depends)
    for row in range(len(files)):
        told = explain(found.batch, row, found.context, found.policy, NOW)
        reason = found.reason(row)
        assert told.seen == (reason is None)
        assert told.hidden_by == (reason.rule if reason else None)
        assert [asked.rule for asked in told.asked] == [rule.key for rule in found.policy.rules]
        first = next((asked for asked in told.asked if asked.answer == "hides"), None)
        assert (first.evidence, first.until) == (reason.evidence, reason.until) if first and reason else first is None
        msgspec.json.encode(told)


def passes(found: Decisions, row: int, one: File, waivers: list[Waiver]) -> bool:
    """Ask every rule about the file without the findings that waivers name, and pass over the rules they name."""
    here = [waiver for waiver in waivers if waiver.until > NOW and Specs([waiver.spec]).select(conda(one))[0]]
    cves = frozenset(name.upper() for waiver in here for name in waiver.cves)
    lenient = conda(
        msgspec.structs.replace(one, findings=tuple(each for each in one.findings if not each[0].is_among(cves)))
    )
    rules = {rule for waiver in here for rule in waiver.rules}
    anything = any(not waiver.rules and not waiver.cves for waiver in here)
    hiding = [rule.key for rule in found.policy.rules if rule.hides(lenient, found.context, NOW)[0]]
    return bool(here) and all(rule in rules or (anything and rule not in GRAVE) for rule in hiding)


@given(files=CHANNEL, rules=RULES, waivers=WAIVERS)
def test_waivers_lift_what_they_name(files: list[File], rules: Rules, waivers: list[Waiver]) -> None:
    found = decided(conda(*files), rules)
    passing = lifted(found.batch, found.context, found.policy, waivers, NOW)
    assert not found.seen[passing.rows].any(), "only what is hidden is lifted"
    for row in np.flatnonzero(~found.seen).tolist():
        assert (row in passing.rows.tolist()) == passes(found, row, files[row], waivers)
        told = explain(found.batch, row, found.context, found.policy, NOW, tuple(waivers))
        assert told.seen == (row in passing.rows.tolist())
        assert told.waived_by == passing.waiver_of(row)


def test_a_waiver_lifts_one_rule_and_ends() -> None:
    batch = conda(
        file(findings=((KNOWN[0], "reported"),)), file(license_family="GPL3"), file(findings=((KNOWN[4], "active"),))
    )
    found = decided(batch, Rules(cve_score=7, license_not=["gpl3"]))
    assert not found.seen.any()

    def rows(now: int = NOW, **more: tuple[str, ...]) -> list[int]:
        waiver = Waiver(7, "conda", "numpy <2", NOW + DAY, **more)
        return lifted(batch, found.context, found.policy, [waiver], now).rows.tolist()  # type: ignore[no-any-return]  # numpy says Any

    assert rows() == [0, 1], "malware is lifted only by name"
    assert rows(rules=("license",)) == [1]
    assert rows(cves=("ghsa-aaaa",)) == [0]
    assert rows(rules=("malware",)) == [2] and "malware" in GRAVE
    assert rows(cves=("MAL-2024-1",)) == [2]
    assert rows(now=NOW + DAY) == []
    with pytest.raises(PackhouseError):
        check_waiver(Waiver(1, "conda", "numpy", NOW), NOW)
    with pytest.raises(PackhouseError):
        check_waiver(Waiver(1, "conda", "numpy >>> 1", NOW + 1), NOW)


def test_several_waivers_together_hold_until_the_first_ends() -> None:
    batch = conda(file(findings=((KNOWN[0], "reported"),), license_family="GPL3"))
    found = decided(batch, Rules(cve_score=7, license_not=["gpl3"]))
    waivers = [
        Waiver(1, "conda", "numpy", NOW + 9, cves=("CVE-2024-1",)),
        Waiver(2, "conda", "*", NOW + 5, rules=("license",)),
    ]
    passing = lifted(batch, found.context, found.policy, waivers, NOW)
    assert (passing.rows.tolist(), passing.waiver.tolist(), passing.until.tolist()) == ([0], [2], [NOW + 5])
    assert len(lifted(batch, found.context, found.policy, waivers[:1], NOW).rows) == 0


@given(files=CHANNEL, one=RULES, two=RULES, depends=DEPENDS)
def test_a_simulation_says_what_then_happens(
    files: list[File], one: Rules, two: Rules, depends: list[list[str]]
) -> None:
    batch = conda(*files)
    before, after = decided(batch, one, depends), decided(batch, two, depends)
    found = simulate(before, after, Demands(before.batch, Needs.of(depends[: len(files)])))
    then = before.seen.copy()
    then[found.disappears], then[found.comes_back] = False, True
    assert then.tolist() == after.seen.tolist()
    left = {known.key for row, file in enumerate(files) if after.seen[row] for known, _ in file.findings}
    assert {each.cve for each in found.remaining} == left
    assert not two.whole_closure or not set(found.unsolvable.tolist()) - set(np.flatnonzero(after.seen).tolist())


def test_what_becomes_uninstallable_is_named_with_what_it_misses() -> None:
    batch = conda(file("app"), file("app", "2"), file("lib"), file("half"), file("half", "2"))
    depends = [["lib"], ["lib >=1"], [], ["lib"], []]
    before, after = decided(batch, NO_POLICY), decided(batch, Rules(exclude_package_name=["lib"]))
    found = simulate(before, after, Demands(before.batch, Needs.of(depends)))
    assert found.unsolvable.tolist() == [0, 1, 3]
    assert [(one.name, one.files) for one in found.uninstallable] == [("app", 2)]
    assert decide(batch, after.context, after.policy, NOW).seen.tolist() == after.seen.tolist()
