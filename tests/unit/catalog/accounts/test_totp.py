"""Codes of second factors: the vectors of RFC 6238, how far a clock may be wrong, and how a code may be written."""

from __future__ import annotations

from base64 import b32encode
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.accounts.totp import STEP_SECONDS, WINDOW, new_enrolment, step_of
from packhouse.core.clock import SECOND

SECRET = b32encode(b"12345678901234567890").decode()
#: RFC 6238 appendix B for SHA-1, whose eight digits end in our six
VECTORS = {
    59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037",
    20000000000: "353130",
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "code"), VECTORS.items())
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert step_of(SECRET, code, seconds * SECOND) == seconds // STEP_SECONDS


@given(st.sampled_from(sorted(VECTORS)), st.integers(-100, 100))
def test_a_clock_may_be_wrong_by_one_step(seconds: int, late: int) -> None:
    now = max(seconds + late, 0)
    near = abs(now // STEP_SECONDS - seconds // STEP_SECONDS) <= WINDOW
    assert (step_of(SECRET, VECTORS[seconds], now * SECOND) is not None) == near


@pytest.mark.parametrize("code", ["287082", " 287 082 ", "287\u00a0082", "287-082", "2 8 7 0 8 2\n"])
def test_a_code_may_be_written_as_it_is_shown(code: str) -> None:
    assert step_of(SECRET, code, 59 * SECOND) == 1


#: digits of other scripts, which `str.isdigit` takes
OTHER_DIGITS = ["287082".translate({48 + n: zero + n for n in range(10)}) for zero in (0xFF10, 0x0660)]


@pytest.mark.parametrize("code", ["", "28708", "2870820", "28708x", "+87082", "287082\0", "0" * 9999, *OTHER_DIGITS])
def test_what_is_no_code_is_refused(code: str) -> None:
    assert step_of(SECRET, code, 59 * SECOND) is None


def test_a_seed_is_shown_as_text_address_and_picture() -> None:
    made, other = new_enrolment("ann@example.org"), new_enrolment("ann@example.org")
    assert len(made.secret) == 32 and made.secret != other.secret
    address = urlsplit(made.uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert "ann" in address.path
    assert parse_qs(address.query)["secret"] == [made.secret]
    assert ElementTree.fromstring(made.svg).tag.endswith("svg")
    assert made.secret not in repr(made)
