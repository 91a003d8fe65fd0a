"""What info/security.json says: the word of the builder, and only where it is well-formed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.security.vulnerabilities.builder import builder_statements
from packhouse.security.vulnerabilities.statements import File, Judgements, Statement, check

_SHA = "ab" * 32


def _said(security: dict[str, Any]) -> list[Statement]:
    return builder_statements(security, "conda", "demo", _SHA, 1_700_000_000_000_000, "acme")


def test_each_list_of_the_schema_is_a_status_with_its_reasons() -> None:
    document = {
        "$schema": "https://schemas.conda.org/info-security-1.schema.json",
        "schema_version": 1,
        "vulns_mitigated": [
            {
                "id": "CVE-2024-1234",
                "comment": "Backported.",
                "patch_fn": "patches/cve.patch",
                "patch_src_url": "https://example.org/commit/1",
                "references": [{"type": "nist", "url": "https://nvd.nist.gov/vuln/detail/CVE-2024-1234"}],
            }
        ],
        "vulns_cleared": [{"id": "CVE-2024-5678"}],
        "vulns_active": [{"id": "CVE-2023-99999", "comment": 7}],
    }
    found = _said(document)
    assert [(one.vulnerability, one.status) for one in found] == [
        ("CVE-2023-99999", "active"), ("CVE-2024-1234", "mitigated"), ("CVE-2024-5678", "cleared"),
    ]  # fmt: skip
    assert found[1].note.splitlines() == [
        "Backported.",
        "Patch: patches/cve.patch",
        "Patch source: https://example.org/commit/1",
        "Reference: https://nvd.nist.gov/vuln/detail/CVE-2024-1234",
    ]
    assert all((one.sha256, one.origin, one.author) == (_SHA, "builder", "acme") for one in found)


def test_it_is_about_that_file_and_counts_less_than_anybody_else() -> None:
    (builder,) = _said({"vulns_cleared": [{"id": "CVE-2024-1234"}]})
    ours, other = File("1.0", sha256=_SHA), File("1.0", sha256="cd" * 32)
    feed = Statement("CVE-2024-1234", "conda", "demo", "active", origin="feed:curated")
    alone, both = Judgements("conda", "demo", [builder]), Judgements("conda", "demo", [builder, feed])
    assert [status for status, _ in alone.statuses("CVE-2024-1234", (), [ours, other])] == ["cleared", "reported"]
    assert both.status_of("CVE-2024-1234", (), ours)[0] == "active"


def test_of_two_minds_the_worse_counts() -> None:
    item = [{"id": "CVE-2024-1234"}]
    assert _said({"vulns_cleared": item, "vulns_mitigated": item})[0].status == "mitigated"
    assert _said({"vulns_active": item, "vulns_mitigated": item})[0].status == "active"


@pytest.mark.parametrize(
    "wrong", [{}, {"vulns": []}, {"vulns_cleared": {"id": "CVE-2024-1234"}}, {"vulns_cleared": ["CVE-2024-1234"]},
              {"vulns_cleared": [{"id": "GHSA-x"}, {"id": 7}, {}]}, {"vulns_cleared": [{"id": "CVE-2024-1234\n"}]}],
)  # fmt: skip
def test_what_is_not_as_the_schema_has_it_says_nothing(wrong: dict[str, Any]) -> None:
    assert _said(wrong) == []


_VALUE = st.recursive(
    st.none() | st.integers() | st.text() | st.just("CVE-2024-1234"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "comment", "patch_fn", "references", "url"]), inner)
    ),
)


@given(st.dictionaries(st.sampled_from(["vulns_cleared", "vulns_mitigated", "vulns_active"]), _VALUE))
def test_whatever_it_holds_what_comes_out_can_be_stored(security: dict[str, Any]) -> None:
    for one in _said(security):
        assert check(one) == one
