"""Times are taken in and written down without surprises at the edges."""

from __future__ import annotations

import time

import pytest

from packhouse.core.clock import EARLIEST, LATEST, end_from_iso, from_iso, monotonic, to_http_date, to_iso


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "9999-12-31", "1969-12-31", "x", ""]
)
def test_what_could_not_be_written_down_again_is_not_taken_in(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_iso(text)


@pytest.mark.parametrize("micros", [-(2**62), -1, 2**62, LATEST + 1])
def test_stored_times_beyond_the_edges_can_still_be_shown(micros: int) -> None:
    assert to_iso(micros) in (to_iso(EARLIEST), to_iso(LATEST))
    assert to_http_date(max(micros, 0)).endswith("GMT")


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock that stands still meanwhile")
def test_a_machine_that_was_suspended_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    before, asleep = monotonic(), 3600.0
    real = time.clock_gettime
    # what Linux answers after an hour's sleep
    monkeypatch.setattr(
        time, "clock_gettime", lambda clock: real(clock) + (asleep if clock == time.CLOCK_BOOTTIME else 0)
    )
    assert monotonic() - before >= asleep


def test_a_time_goes_in_and_out() -> None:
    assert from_iso("2026-11-21T10:00:00.000003Z") % 1_000_000 == 3
    assert to_iso(from_iso("2026-11-21T10:00:00.250Z")) == "2026-11-21T10:00:00.250Z"
    assert from_iso("2026-11-21") == from_iso("2026-11-21T00:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-11-21", "2026-11-22T00:00:00.000Z"),
        ("20261121", "2026-11-22T00:00:00.000Z"),
        ("2026-11-21T00:00", "2026-11-21T00:00:00.000Z"),
        ("9999-12-30", "9999-12-30T00:00:00.000Z"),
    ],
)
def test_a_day_that_ends_something_is_part_of_it(text: str, end: str) -> None:
    assert to_iso(end_from_iso(text)) == end
