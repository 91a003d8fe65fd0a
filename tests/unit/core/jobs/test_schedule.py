"""Cron expressions: five fields, UTC, and a clear word about everything else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse.core.clock import from_iso, to_iso
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import next_time, validate

MINUTE = 60_000_000


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2026-11-21T10:00:00", "2026-11-21T10:01:00.000Z"),
        ("* * * * *", "2026-11-21T10:00:59.999999", "2026-11-21T10:01:00.000Z"),
        ("30 2 * * *", "2026-11-21T02:30:00", "2026-11-22T02:30:00.000Z"),
        ("*/15 * * * *", "2026-11-21T10:44:00", "2026-11-21T10:45:00.000Z"),
        ("0 0 1 1 *", "2026-11-21T10:00:00", "2027-01-01T00:00:00.000Z"),
        ("0 0 29 2 *", "2026-11-21T10:00:00", "2028-02-29T00:00:00.000Z"),
        ("0 6 * * MON-FRI", "2026-11-21T10:00:00", "2026-11-23T06:00:00.000Z"),
        ("0 6 * * 0", "2026-11-21T10:00:00", "2026-11-22T06:00:00.000Z"),
        ("0 6 * * 7", "2026-11-21T10:00:00", "2026-11-22T06:00:00.000Z"),
        ("0 0 13 * FRI", "2026-11-21T10:00:00", "2026-11-27T00:00:00.000Z"),  # crontab(5): either day will do
        ("0 1 29 3 *", "2026-03-29T00:30:00", "2026-03-29T01:00:00.000Z"),  # clocks change in Europe, not in UTC
    ],
)
def test_the_next_time(cron: str, after: str, expected: str) -> None:
    assert to_iso(next_time(cron, from_iso(after))) == expected


@pytest.mark.parametrize(
    "cron",
    [
        "", "hello", "* * * *", "0 * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
        "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "-1 * * * *", "0 0 30 2 *", "@daily", "٣ * * * *",
        "9" * 400 + " * * * *", "* " * 5000,
    ],
)  # fmt: skip
def test_an_ill_formed_or_impossible_schedule_is_refused(cron: str) -> None:
    with pytest.raises(PackhouseError, match="is not a cron expression") as caught:
        validate(cron)
    assert caught.value.code == "bad_request"
    assert len(str(caught.value)) < 400


FIELD = st.text("0123456789*/,-L#MONFRIJAW", min_size=1, max_size=8)


@given(st.one_of(st.text(max_size=30), st.builds(" ".join, st.lists(FIELD, min_size=5, max_size=5))))
@example("0 0 * 2 MON#5")
@example("0 0 31 2,4,6,9,11 1L")
def test_any_text_is_a_schedule_or_is_refused(cron: str) -> None:
    try:
        moment = next_time(cron, 0)
    except PackhouseError as error:
        assert error.code == "bad_request"
    else:
        assert moment > 0
        assert moment % MINUTE == 0


@given(
    st.lists(st.integers(0, 59), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True),
    st.integers(0, 4_000_000_000_000_000),
)
def test_no_time_between_is_left_out(minutes: list[int], hours: list[int], after: int) -> None:
    cron = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    candidate = after - after % MINUTE + MINUTE
    while candidate // MINUTE % 60 not in minutes or candidate // MINUTE // 60 % 24 not in hours:
        candidate += MINUTE
    assert next_time(cron, after) == candidate
