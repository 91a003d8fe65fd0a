"""The fields of a policy: the same in the rules, on the wire, in an answer, and in the documentation."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from packhouse.core.errors import PackhouseError
from packhouse.doors.api.shapes.policies import PolicyEdit, PolicyShape, RulesRequest, entries_of, given_rules
from packhouse.security.policies.compiling import RULES
from packhouse.security.policies.policy import Rules, edited
from tests.unit.house.sources import ROOT

FIELDS = set(Rules.__struct_fields__)
PAGE = (ROOT / "docs" / "policies.md").read_text()


def test_every_field_can_be_sent_and_is_shown() -> None:
    assert set(RulesRequest.__struct_fields__) == FIELDS
    assert set(PolicyShape.__struct_fields__) > FIELDS
    assert set(PolicyEdit.__struct_fields__) == set(PolicyShape.__struct_fields__), "it can be sent back as shown"


def test_every_field_and_rule_is_documented() -> None:
    rows = {name for line in PAGE.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    assert FIELDS - rows == set()
    order = PAGE.partition("## The order")[2].partition("These words")[0]
    places = [order.find(f"`{rule}`") for rule in RULES]
    assert -1 not in places and places == sorted(places)


@given(texts=st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,8}( (>=|<|==)[0-9](,<[0-9])?)?", fullmatch=True), min_size=1))
def test_a_list_as_one_text_has_the_same_entries(texts: list[str]) -> None:
    assert entries_of(",".join(texts)) == texts


@given(value=st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.text()))
def test_any_value_in_any_field_is_taken_or_refused(value: Any) -> None:
    for field in FIELDS:
        try:
            edited(Rules(), given_rules(msgspec.convert({field: value}, RulesRequest)))
        except msgspec.ValidationError:
            continue
        except PackhouseError as error:
            assert error.code == "bad_request"


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_what_is_not_sent_is_not_given(field: str) -> None:
    assert given_rules(RulesRequest()) == {}
    assert getattr(RulesRequest(), field) is UNSET
    assert set(given_rules(RulesRequest(**{field: ""}))) == {field}
