"""Digests say the worst first, count everything, and let no feed write lines of its own."""

from __future__ import annotations

from typing import Any

from packhouse.catalog.vulnerabilities.news import Subject
from packhouse.workflows.notifying.digests import MOST_ITEMS, MOST_VERSIONS, Collected, Release, subject, text


def about(number: int, score: int | None = 50, **more: Any) -> Subject:
    return Subject(number, f"CVE-2024-{number:04}", "vulnerability", score, False, "A summary")._replace(**more)


def test_the_worst_comes_first() -> None:
    known = {
        1: about(1, 99), 2: about(2, None), 3: about(3, 20, exploited=True), 4: about(4, 0, kind="malware"),
        5: about(5, 99), 6: about(6, 0),
    }  # fmt: skip
    collected = Collected()
    collected.add(Release("conda", "a", "1.0", 3), [6, 5, 4, 3, 2, 1, 7])
    digest = collected.digest(known)
    assert [int(one.id[-4:]) for one in digest.items] == [4, 3, 1, 5, 6, 2]
    assert (digest.vulnerability_count, digest.malware_count, digest.file_count, digest.more) == (6, 1, 3, 0)
    assert [one.severity for one in digest.items] == ["none", "low", "critical", "critical", "none", "unknown"]
    assert subject("ours", digest) == "ours: 6 new vulnerabilities, CVE-2024-0004 (malware)"


def test_what_is_too_much_is_counted() -> None:
    collected = Collected()
    for version in range(MOST_VERSIONS + 3):
        collected.add(Release("conda", "a", f"{version}.0", 2), [1])
    for number in range(2, MOST_ITEMS + 12):
        collected.add(Release("python", f"p{number}", "1", 1), [number])
    digest = collected.digest({number: about(number, 90 if number == 1 else 50) for number in range(1, 500)})
    assert (len(digest.items), digest.more) == (MOST_ITEMS, 11)
    assert digest.file_count == 2 * (MOST_VERSIONS + 3) + MOST_ITEMS + 10
    written = text("ours/sub", digest)
    assert "111 vulnerabilities were newly found in 136 files of the channel ours/sub." in written
    assert "  conda: a 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0 and 3 more (26 files)" in written
    assert "And 11 more: see the channel." in written
    assert "PUT /api/channels/ours/subchannels/sub/notifications/subscription" in written


def test_a_single_one_reads_well() -> None:
    collected = Collected()
    collected.add(Release("conda", "a", "1.0", 1), [1])
    digest = collected.digest({1: about(1, 98, exploited=True)})
    assert subject("ours", digest) == "ours: 1 new vulnerability, CVE-2024-0001 (9.8 critical)"
    assert text("ours", digest).splitlines()[:5] == [
        "1 vulnerability was newly found in 1 file of the channel ours.",
        "",
        "CVE-2024-0001  9.8 critical, known to be exploited",
        "  A summary",
        "  conda: a 1.0 (1 file)",
    ]


def test_what_a_feed_says_stays_on_its_line() -> None:
    collected = Collected()
    collected.add(Release("conda", "a", "1.0", 1), [1])
    written = text("ours", collected.digest({1: about(1, summary="x\r\n\r\nClick http://evil\x1b[2J\u2028y")}))
    assert "  x Click http://evil [2J y" in written.splitlines()
    assert "\x1b" not in written and "\r" not in written


def test_nothing_known_is_nothing_to_say() -> None:
    collected = Collected()
    collected.add(Release("conda", "a", "1.0", 1), [1])
    assert collected.digest({}).items == []
