"""Scores leave as the decimals they are, and bounds are read as they were typed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.doors.api.scores import least, most
from packhouse.security.vulnerabilities.scores import decimal


def test_every_score_is_written_with_its_one_digit() -> None:
    for tenths in range(101):
        assert msgspec.json.encode(decimal(tenths)).decode() == f"{tenths // 10}.{tenths % 10}"
    assert decimal(None) is None


@given(st.integers(0, 100))
def test_what_goes_out_comes_back(tenths: int) -> None:
    text = msgspec.json.encode(decimal(tenths)).decode()
    assert least("score_from", text) == most("score_to", text) == tenths


@pytest.mark.parametrize(("text", "low", "high"), [("6.95", 70, 69), ("7", 70, 70), ("0", 0, 0), ("1e0", 10, 10)])
def test_bounds_between_two_scores_take_neither_too_many_nor_too_few(text: str, low: int, high: int) -> None:
    assert (least("score_from", text), most("score_to", text)) == (low, high)


@pytest.mark.parametrize("text", ["", "high", "nan", "inf", "-0.1", "10.01", "1e99", "7.x", "1_0"])
def test_what_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(PackhouseError, match="score_from"):
        least("score_from", text)
