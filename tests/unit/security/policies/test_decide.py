"""The engine: a batch is decided as each file alone, orders do not matter, and decisions can be replayed."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.mirrors.filters import Filters
from packhouse.security.policies.batch import File
from packhouse.security.policies.compiling import compile_rules
from packhouse.security.policies.decide import Policy, decide
from packhouse.security.policies.policy import NO_POLICY, Rules, decode, digest, encode
from packhouse.workflows.mirroring.policy import policy_of
from tests.unit.security.policies.making import DEPENDS, FILES, NOW, RULES, conda, decided

CHANNEL = st.lists(FILES, max_size=8)


@given(files=CHANNEL, rules=RULES, depends=DEPENDS)
def test_a_batch_is_decided_as_each_file_alone(files: list[File], rules: Rules, depends: list[list[str]]) -> None:
    together = decided(conda(*files), rules, depends)
    for row in range(len(files)):
        one = together.batch.take(np.array([row]))
        alone = decide(one, together.context, together.policy, NOW)
        assert alone.rule[0] == together.rule[row]
        assert alone.reason(0) == together.reason(row)


@given(files=CHANNEL, rules=RULES, depends=DEPENDS)
def test_the_first_rule_that_hides_names_the_reason(files: list[File], rules: Rules, depends: list[list[str]]) -> None:
    together = decided(conda(*files), rules, depends)
    for row in range(len(files)):
        hiding = [
            rule.key
            for rule in together.policy.rules
            if decide(together.batch, together.context, Policy([rule]), NOW).rule[row] == 0
        ]
        reason = together.reason(row)
        assert (reason.rule if reason else None) == (hiding[0] if hiding else None)
        assert reason is None or reason.evidence["text"]


@given(files=CHANNEL, rules=RULES, depends=DEPENDS, turn=st.randoms(use_true_random=False))
def test_the_order_of_lists_and_files_does_not_matter(
    files: list[File], rules: Rules, depends: list[list[str]], turn: Random
) -> None:
    shuffled: dict[str, Any] = {}
    for name in Rules.__struct_fields__:
        value = getattr(rules, name)
        shuffled[name] = list(reversed(value)) if isinstance(value, list) else value
    other = Rules(**shuffled)
    assert digest(other) == digest(rules)
    assert digest(decode(encode(rules))) == digest(rules)
    order = list(range(len(files)))
    turn.shuffle(order)
    one = decided(conda(*files), rules, depends)
    two = decided(conda(*(files[row] for row in order)), other, [depends[row] for row in order])
    assert [bool(two.seen[order.index(row)]) for row in range(len(files))] == one.seen.tolist()


@given(files=CHANNEL)
def test_without_a_policy_only_malware_and_quarantine_hide(files: list[File]) -> None:
    found = decided(conda(*files), NO_POLICY)
    for row, file in enumerate(files):
        malware = any(known.kind == "malware" and status != "cleared" for known, status in file.findings)
        reason = found.reason(row)
        assert (reason.rule if reason else None) == (
            "malware" if malware else "quarantine" if file.quarantined else None
        )


@given(rules=RULES)
def test_every_rule_is_of_one_of_two_groups(rules: Rules) -> None:
    policy = compile_rules(rules)
    assert len(policy.part("file").rules) + len(policy.part("channel").rules) == len(policy.rules)


@given(files=CHANNEL, rules=RULES, depends=DEPENDS)
def test_a_verdict_shared_and_an_overlay_make_the_decision(
    files: list[File], rules: Rules, depends: list[list[str]]
) -> None:
    whole = decided(conda(*files), rules, depends)
    shared, own = (decide(whole.batch, whole.context, whole.policy.part(part), NOW) for part in ("file", "channel"))
    assert (shared.seen & own.seen).tolist() == whole.seen.tolist()


@given(files=CHANNEL, rules=RULES, depends=DEPENDS)
def test_a_rule_that_hides_only_some_fact_never_hides_a_file_without_it(
    files: list[File], rules: Rules, depends: list[list[str]]
) -> None:
    together = decided(conda(*files), rules, depends)
    for rule in together.policy.rules:
        hidden = rule.hides(together.batch, together.context, NOW)
        for file in (file for file, hides in zip(files, hidden, strict=True) if hides):
            facts = {"malware": any(known.kind == "malware" for known, _ in file.findings)}
            facts |= {"finding": bool(file.findings), "quarantine": file.quarantined}
            assert rule.hides_only is None or facts[rule.hides_only]


@given(one=FILES, two=FILES, rules=RULES)
def test_a_rule_that_hides_only_some_fact_looks_at_nothing_else(one: File, two: File, rules: Rules) -> None:
    alike = msgspec.structs.replace(two, findings=one.findings, quarantined=one.quarantined)
    together = decided(conda(one, alike), rules)
    for rule in together.policy.rules:
        if rule.hides_only is not None:
            hidden = rule.hides(together.batch, together.context, NOW)
            assert hidden[0] == hidden[1]


def test_filters_of_mirrors_are_the_same_rules() -> None:
    filters = Filters(exclude_specs=["numpy"], include_specs=["numpy ==1.0"], exclude_licenses=["gpl3"])
    batch = conda(
        File("numpy", "1.0", license_family="MIT"),
        File("numpy", "2.0", license_family="MIT"),
        File("numpy", "1.0", license_family="GPL3"),
    )
    found = decided(batch, NO_POLICY)
    found = decide(batch, found.context, policy_of(filters), 0)
    reasons = [found.reason(row) for row in range(3)]
    assert [reason and reason.rule for reason in reasons] == [None, "exclude_specs", "license"]
    assert found.counts() == {"exclude_specs": 1, "license": 1}
