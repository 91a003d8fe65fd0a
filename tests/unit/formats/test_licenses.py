"""The licence family of what packages really state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.licenses import FAMILIES, license_family


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("MIT", "MIT"), ("BSD-3-Clause", "BSD"), ("BSD 3-clause", "BSD"), ("0BSD", "BSD"), ("Apache-2.0", "APACHE"),
        ("Apache License (== 2.0)", "APACHE"), ("GPL-2.0-or-later", "GPL2"), ("GPL-3.0-only", "GPL3"), ("GPL", "GPL"),
        ("GPL (>= 3)", "GPL3"), ("LGPL-2.1-or-later", "LGPL"), ("AGPL-3.0", "AGPL"), ("MPL-2.0", "MOZILLA"),
        ("PSF-2.0", "PSF"), ("Python-2.0", "PSF"), ("CC-BY-4.0", "CC"), ("CC0-1.0", "Public-Domain"),
        ("Public-Domain (http://www.sqlite.org/copyright.html)", "Public-Domain"), ("Unlicense", "Public-Domain"),
        ("LicenseRef-Proprietary", "Proprietary"), ("NVIDIA End User License: EULA", "Proprietary"), ("", "None"),
        ("Zlib", "OTHER"), ("MIT + file LICENSE", "MIT"), ("file LICENSE (FOSS)", "OTHER"),
        ("GNU General Public License v2 or later (GPLv2+)", "GPL2"), ("Free software (MIT-like)", "MIT"),
    ],
)  # fmt: skip
def test_one_licence(text: str, family: str) -> None:
    assert license_family("", text) == family


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("MIT OR GPL-3.0-only", "MIT"),
        ("MIT AND GPL-3.0-only", "GPL3"),
        ("(MIT OR GPL-2.0-only) AND GPL-3.0-only", "GPL3"),
        ("MIT OR (GPL-2.0-only AND GPL-3.0-only)", "MIT"),
        ("GPL-2 | GPL-3", "GPL2"),
        ("Apache 2.0 or BSD 3-Clause", "BSD"),
        ("GPL-2.0 and FreeType", "GPL2"),
        ("GPL-3.0-only WITH GCC-exception-3.1", "GPL3"),
    ],
)
def test_a_choice_takes_the_lesser_and_a_sum_the_greater(text: str, family: str) -> None:
    assert license_family("", text) == family


def test_a_stated_family_stands() -> None:
    assert license_family("Apache", "whatever") == "APACHE"
    assert license_family("PUBLIC-DOMAIN", "") == "Public-Domain"
    assert license_family("gpl2", "MIT") == "GPL2"
    assert license_family("Perl", "MIT") == "MIT"
    assert license_family("none", "") == "None" and license_family("none", "MIT") == "MIT"


@given(st.text(max_size=200), st.lists(st.sampled_from(["MIT", "(", ")", " OR ", " AND ", "|", "GPL-2"]), max_size=60))
def test_any_text_has_a_family(text: str, tokens: list[str]) -> None:
    assert license_family("", text) in FAMILIES
    assert license_family(text, "".join(tokens)) in FAMILIES
