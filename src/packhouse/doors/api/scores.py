"""Scores that a caller names: decimals, read as integer tenths without ever being a binary fraction."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Annotated

from litestar.params import QueryParameter

from packhouse.core.errors import PackhouseError

Score = Annotated[str | None, QueryParameter(max_length=16, description="A score from 0 to 10, both bounds included.")]


def least(name: str, text: str) -> int:
    """Return the lowest tenths that are at least a score. Raises PackhouseError("bad_request")."""
    return int((_read(name, text) * 10).to_integral_value(ROUND_CEILING))


def most(name: str, text: str) -> int:
    """Return the highest tenths that are at most a score. Raises PackhouseError("bad_request")."""
    return int((_read(name, text) * 10).to_integral_value(ROUND_FLOOR))


def _read(name: str, text: str) -> Decimal:
    try:
        score = Decimal(text)
    except InvalidOperation:
        score = Decimal("NaN")
    if "_" in text or score.is_nan() or not 0 <= score <= 10:  # Python reads "1_0" as 10
        raise PackhouseError(
            "bad_request", f"`{name}`: {text!r} is no score.", "Write a number from 0 to 10, like 7.5."
        )
    return score
