"""Names and hashes of blobs."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.blobs.hashing import Hasher, Hashes, relative_name


@given(st.lists(st.binary(max_size=200)))
def test_hashes_do_not_depend_on_how_the_bytes_were_cut(chunks: list[bytes]) -> None:
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    whole = b"".join(chunks)
    expected = Hashes(len(whole), hashlib.sha256(whole).hexdigest(), hashlib.md5(whole).hexdigest())
    assert hasher.hashes() == expected


@given(st.binary(max_size=20))
def test_a_blob_lies_one_folder_down(data: bytes) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    assert relative_name(sha256) == f"{sha256[0:2]}/{sha256}"


@pytest.mark.parametrize(
    "name", ["", "ab", "../../etc/passwd", "A" * 64, "g" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "\u0660" * 64]
)
def test_only_a_hash_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        relative_name(name)
