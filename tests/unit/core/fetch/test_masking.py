"""No address that is shown carries a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.fetch import mask_url
from packhouse.core.fetch.model import FetchSettings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://conda.example/main/noarch", "https://conda.example/main/noarch"),
        ("https://ann:pw@conda.example/main", "https://***@conda.example/main"),
        ("https://ann:p@w@conda.example/main", "https://***@conda.example/main"),
        ("https://ann:p/w?x#y@conda.example/main", "https://***@conda.example/main"),
        ("https://token@conda.example", "https://***@conda.example"),
        ("https://conda.example/t/ab-123/main/noarch", "https://conda.example/t/***/main/noarch"),
        ("https://conda.example/t/ab-123", "https://conda.example/t/***"),
        ("https://s3.example/b/k?X-Amz-Signature=abc&x=1", "https://s3.example/b/k?***"),
        ("https://s3.example/b#sha256=12", "https://s3.example/b"),
        ("https://conda.example:8443/main@2026-03-01/x", "https://conda.example:8443/main@2026-03-01/x"),
        ("https://[2001:db8::1]:80/a@b", "https://[2001:db8::1]:80/a@b"),
        ("not a url", "not a url"),
    ],
)
def test_shown_form(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@given(st.text(alphabet="sS3cret/?#@:%é", min_size=1), st.sampled_from(["https", "http"]))
def test_no_password_is_ever_shown(password: str, scheme: str) -> None:
    secret = f"x{password}LEAK"
    assert "LEAK" not in mask_url(f"{scheme}://user:{secret}@host.example/path")


def test_settings_do_not_print_their_secrets() -> None:
    settings = FetchSettings(password="LEAK", bearer="LEAK", headers={"X-Auth": "LEAK"}, proxy="http://a:LEAK@p:1")
    assert "LEAK" not in repr(settings)
    assert "LEAK" not in f"{settings}"
