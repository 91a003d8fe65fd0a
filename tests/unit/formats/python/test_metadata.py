"""METADATA is read as the standard library reads it, and in time that grows with its size only."""

from __future__ import annotations

import email
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.base import Malformed
from packhouse.formats.python.coremetadata import description_of, license_of, parse_metadata

_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["Name: demo", "Version: 1.0", "Requires-Dist: a", " folded", "\tfolded", "", "no field", "x:y:z", "A :b",
             "From here", ":", "D\u00e9j\u00e0: vu", "K: \u2028x", "K: \x0cy"]
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    ),
    max_size=12,
)  # fmt: skip


@given(_LINES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_fields_and_body_are_those_of_the_standard_library(lines: list[str], end: str) -> None:
    data = end.join(lines).encode()
    try:
        found = parse_metadata(data)
    except Malformed as refused:
        assert str(refused).isprintable()
        return
    known = email.message_from_string(data.decode())
    theirs: dict[str, list[str]] = {}
    for key, value in known.items():
        theirs.setdefault(key.lower(), []).append(value.strip())
    assert {key: [one.strip() for one in values] for key, values in found.fields.items()} == theirs
    if not known.is_multipart():
        assert found.body == known.get_payload()


def test_hostile_headers_take_no_time() -> None:
    started = time.process_time()
    parse_metadata(b"".join(b"H%d: x\n" % number for number in range(49_000)))
    parse_metadata(b"Description: a\n" + b" b\n" * 49_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("fields", "said", "family"),
    [
        ("License-Expression: MIT OR GPL-3.0-only\nLicense: other", "MIT OR GPL-3.0-only", "MIT"),
        ("License: BSD-3-Clause", "BSD-3-Clause", "BSD"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License", "MIT"),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n"
            "Classifier: License :: OSI Approved",
            "MIT License, GNU General Public License v3 (GPLv3)",
            "GPL3",
        ),
        ("License: Copyright me\n Permission is hereby granted\n MIT License", "Copyright me", "MIT"),
        ("Summary: none", "", "None"),
    ],
)
def test_the_licence(fields: str, said: str, family: str) -> None:
    assert license_of(parse_metadata(fields.encode())) == (said, family)


def test_the_description_of_old_and_new_metadata() -> None:
    assert description_of(parse_metadata(b"Name: a\n\n# Title\n\ntext\n")) == "# Title\n\ntext"
    assert description_of(parse_metadata(b"Description: One\n       |two\n        three\n")) == "One\ntwo\nthree"
