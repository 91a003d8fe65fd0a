"""Remembered pages: only for the change they were read at, and bounded in bytes."""

from __future__ import annotations

from packhouse.doors.api.pages import MOST_BYTES, MOST_PAGE_BYTES, Pages, encoded


def test_a_page_is_found_for_its_own_change_only() -> None:
    pages = Pages()
    pages.keep("key", encoded(1, b"one"))
    found = pages.find("key", 1)
    assert found is not None
    assert found.body == b"one"
    assert pages.find("key", 2) is None
    pages.keep("key", encoded(2, b"two"))
    assert pages.find("key", 1) is None
    newer = pages.find("key", 2)
    assert newer is not None
    assert newer.etag != found.etag


def test_the_pages_longest_unused_go_first_and_a_very_long_one_is_not_kept() -> None:
    pages, body = Pages(), bytes(MOST_PAGE_BYTES)
    pages.keep("used", encoded(1, body))
    for number in range(2 * MOST_BYTES // MOST_PAGE_BYTES):
        pages.keep(number, encoded(1, body))
        assert pages.find("used", 1) is not None
    kept = [number for number in range(2 * MOST_BYTES // MOST_PAGE_BYTES) if pages.find(number, 1)]
    assert 0 < (len(kept) + 1) * MOST_PAGE_BYTES <= MOST_BYTES
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert kept[-1] == 2 * MOST_BYTES // MOST_PAGE_BYTES - 1
    pages.keep("used", encoded(2, body + b"!"))
    assert pages.find("used", 2) is None
    assert pages.find("used", 1) is None
