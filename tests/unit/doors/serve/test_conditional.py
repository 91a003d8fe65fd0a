"""Conditions and ranges: their rules on every input, and that no header can make them fail."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.clock import SECOND
from packhouse.doors.serve.conditional import conditions, not_modified, wanted_range

TAG = b'"abc"'
raw = st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
number = st.integers(0, 10**30)
dates = st.one_of(
    raw,
    st.builds(
        lambda d, m, y, h, mi, s, z: f"Mon, {d} {m} {y} {h}:{mi}:{s} {z}".encode(),
        number, st.sampled_from(["Jan", "Feb", "Foo", "13"]), number, number, number, number,
        st.sampled_from(["GMT", "+0000", "-9999", "+99999999999999", "EST", ""]),
    ),
)  # fmt: skip
ranges = st.one_of(
    raw.map(lambda value: b"bytes=" + value),
    st.builds(lambda a, b: f"bytes={a}-{b}".encode(), number | st.just(""), number | st.just("")),
)


@given(dates, st.integers(0, 2**53))
def test_no_date_makes_it_fail(value: bytes, modified_at: int) -> None:
    assert not_modified({b"if-modified-since": value}, TAG, modified_at) in (True, False)


@given(st.integers(0, 4_000_000_000), st.integers(-5, 5))
def test_dates_count_in_whole_seconds(seconds: int, later: int) -> None:
    since = formatdate(seconds, usegmt=True).encode()
    modified_at = (seconds + later) * SECOND + 999_999
    if modified_at >= 0:
        assert not_modified({b"if-modified-since": since}, TAG, modified_at) == (later <= 0)


@given(raw)
def test_a_tag_wins_over_the_date(value: bytes) -> None:
    late = formatdate(4_000_000_000, usegmt=True).encode()
    asked = {
        b"if-none-match": b'"x' + value.replace(b"*", b"").replace(b'"abc"', b"") + b'"',
        b"if-modified-since": late,
    }
    assert not not_modified(asked, TAG, 0)


@pytest.mark.parametrize("value", [TAG, b"*", b" * ", b'"x", "abc"', b'W/"abc"', b'"x",W/"abc","y"'])
def test_tags_that_are_ours(value: bytes) -> None:
    assert not_modified({b"if-none-match": value}, TAG, 0)


@pytest.mark.parametrize("value", [b"", b"abc", b'"ab"', b'"abc', b'w/"abc"', b'"abcd"', b"**"])
def test_tags_that_are_not(value: bytes) -> None:
    assert not not_modified({b"if-none-match": value}, TAG, 0)


@given(ranges, st.integers(0, 10**6))
def test_a_range_is_inside_or_refused_or_ignored(value: bytes, size: int) -> None:
    try:
        found = wanted_range({b"range": value}, TAG, size)
    except ValueError:
        return
    if found is not None:
        start, length = found
        assert start >= 0 and length >= 1 and start + length <= size


@given(st.integers(1, 1000), st.data())
def test_a_range_means_what_it_says(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size + 10))
    assert wanted_range({b"range": b"bytes=%d-%d" % (first, last)}, TAG, size) == (
        first,
        min(last, size - 1) - first + 1,
    )
    assert wanted_range({b"range": b"bytes=%d-" % first}, TAG, size) == (first, size - first)
    suffix = data.draw(st.integers(1, size + 10))
    assert wanted_range({b"range": b"bytes=-%d" % suffix}, TAG, size) == (max(0, size - suffix), min(suffix, size))


def test_only_conditions_are_looked_at() -> None:
    headers = [(b"host", b"x"), (b"range", b"bytes=0-"), (b"if-range", TAG), (b"accept", b"*")]
    assert conditions({"headers": headers}) == {b"range": b"bytes=0-", b"if-range": TAG}
