"""CVSS vectors and the one score that stands for many. Expected scores are those NVD and FIRST publish."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.security.vulnerabilities.advisory import Status, Vector
from packhouse.security.vulnerabilities.scores import headline, headline_of_package, read_vector

LOG4SHELL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"
HEARTBLEED_2 = "AV:N/AC:L/Au:N/C:P/I:N/A:N"
HIGH_4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"

METRICS = {
    "2.0": {"AV": "LAN", "AC": "HML", "Au": "MSN", "C": "NPC", "I": "NPC", "A": "NPC"},
    "3.1": {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", "C": "HLN", "I": "HLN", "A": "HLN"},
    "4.0": {
        "AV": "NALP", "AC": "LH", "AT": "NP", "PR": "NLH", "UI": "NPA", "VC": "HLN", "VI": "HLN", "VA": "HLN",
        "SC": "HLN", "SI": "HLN", "SA": "HLN",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "version", "vector", "score"),
    [
        (LOG4SHELL, "3.1", LOG4SHELL, 100),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "3.0", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75),
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "3.1", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", "3.1", "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0),
        (HEARTBLEED_2, "2.0", HEARTBLEED_2, 50),
        (f"({HEARTBLEED_2})", "2.0", HEARTBLEED_2, 50),
        (f"CVSS:2.0/{HEARTBLEED_2}", "2.0", HEARTBLEED_2, 50),
        (HIGH_4, "4.0", HIGH_4, 93),
        (HIGH_4.removeprefix("CVSS:4.0/"), "4.0", HIGH_4, 93),
        (f"  {LOG4SHELL}\n", "3.1", LOG4SHELL, 100),
    ],
)
def test_a_vector_has_the_published_score(text: str, version: str, vector: str, score: int) -> None:
    assert read_vector(text, "nvd") == (Vector(version, vector, score, "nvd"), "")  # type: ignore[arg-type]  # str


def test_temporal_metrics_leave_the_base_score() -> None:
    found, _ = read_vector(f"{LOG4SHELL}/E:U/RL:O/RC:C")
    assert found is not None and found.score == 100


def test_threat_metrics_are_part_of_the_one_score_of_cvss_4() -> None:
    found, _ = read_vector(f"{HIGH_4}/E:U")
    assert found is not None and found.score == 81


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "9.8",
        "HIGH",
        "CVSS:9.9/AV:N",
        "CVSS:3.1/",
        "CVSS:3.1/AV:N",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:Q",
        f"{LOG4SHELL}/",
        f"CVSS:2.0/{LOG4SHELL}",
        f"CVSS:4.0/{HEARTBLEED_2}",
        LOG4SHELL + "/E:U" * 10_000,
        "AV:N/AC:L/Au:N/C:P/I:N/A:N/\0",
    ],
)
def test_what_is_no_vector_is_refused_with_a_reason(text: str) -> None:
    found, reason = read_vector(text)
    assert found is None
    assert reason.endswith(".") and len(reason) < 600


@given(st.text() | st.lists(st.sampled_from([*HIGH_4.split("/"), *LOG4SHELL.split("/"), "MS:X", "E:A"])).map("/".join))
def test_nothing_that_a_feed_says_is_an_error(text: str) -> None:
    found, reason = read_vector(text)
    assert (found is None) == bool(reason)


@given(st.data(), st.sampled_from(sorted(METRICS)))
def test_every_base_vector_has_a_score_in_tenths(data: st.DataObject, version: str) -> None:
    bare = "/".join(f"{metric}:{data.draw(st.sampled_from(values))}" for metric, values in METRICS[version].items())
    found, reason = read_vector(bare)
    assert found is not None, reason
    assert found.version == version
    assert type(found.score) is int and 0 <= found.score <= 100
    assert read_vector(found.vector) == (found, "")


def rated(version: Any, score: int) -> Vector:
    return Vector(version, "", score)


def test_a_newer_cvss_is_the_headline_even_when_it_is_lower() -> None:
    assert headline([rated("2.0", 100), rated("3.1", 98), rated("4.0", 53)]) == 53
    assert headline([rated("2.0", 100), rated("3.1", 61)]) == 61


def test_within_cvss_3_the_highest_is_the_headline_whether_3_0_or_3_1() -> None:
    assert headline([rated("3.1", 61), rated("3.0", 75), rated("3.1", 70)]) == 75


def test_without_vectors_there_is_no_headline_but_a_zero_is_one() -> None:
    assert headline([]) is None
    assert headline([rated("3.1", 0)]) == 0


@pytest.mark.parametrize(
    ("items", "score"),
    [
        ([("active", 50), ("reported", 70), ("cleared", 98)], 70),
        ([("cleared", 40), ("mitigated", 98), ("disputed", 70)], 98),
        ([("active", None), ("mitigated", 98)], None),
        ([("active", None), ("reported", 0)], 0),
        ([("cleared", None)], None),
        ([], None),
    ],
)
def test_what_was_settled_counts_only_where_nothing_is_open(
    items: list[tuple[Status, int | None]], score: int | None
) -> None:
    assert headline_of_package(items) == score
