"""Signatures of conda records: what was signed passes, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.record import canonical_json
from packhouse.security.signing.conda import MOST_KEYS, signed_bytes, signers
from packhouse.security.signing.keys import is_key, read_key
from tests.kit.signing import Signer

ANN, BOB = Signer(1), Signer(2)
RECORD: dict[str, Any] = {
    "build": "h0_0", "build_number": 0, "depends": ["zlib >=1.2,<2"], "license": "Größe ©", "name": "a",
    "size": 12, "subdir": "linux-64", "timestamp": 1_700_000_000_000, "version": "1.0", "x": {"y": [1.5, None, True]},
}  # fmt: skip
IDENTITY = "01" + "00" * 31


def true_of(record: dict[str, Any], signatures: Any) -> tuple[str, ...]:
    return signers(canonical_json(record), json.dumps(signatures))


def test_the_signed_bytes_are_those_of_conda_content_trust() -> None:
    assert signed_bytes({"b": ["é"], "a": {}}) == b'{\n  "a": {},\n  "b": [\n    "\\u00e9"\n  ]\n}'


def test_each_key_that_signed_it_is_found() -> None:
    assert true_of(RECORD, ANN.sign(RECORD)) == (ANN.public,)
    both = ANN.sign(RECORD) | BOB.sign(RECORD)
    assert set(true_of(RECORD, both)) == {ANN.public, BOB.public}
    assert true_of(RECORD, ANN.sign(RECORD) | BOB.sign(RECORD | {"size": 13})) == (ANN.public,)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcä", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("abcdeé", min_size=1, max_size=4), values, min_size=1, max_size=5), values)
def test_any_record_passes_as_it_was_signed_and_no_other(record: dict[str, Any], other: Any) -> None:
    signatures = ANN.sign(record)
    assert true_of(record, signatures) == (ANN.public,)
    key = next(iter(record))
    changed = record | {key: other}
    if signed_bytes(changed) != signed_bytes(record):
        assert true_of(changed, signatures) == ()
    assert true_of(record | {"new key": other}, signatures) == ()


def spoilt() -> list[Any]:
    good = ANN.sign(RECORD)[ANN.public]["signature"]
    other = {"signature": BOB.sign(RECORD)[BOB.public]["signature"]}
    flipped = [format(int(good[at], 16) ^ 1, "x").join((good[:at], good[at + 1 :])) for at in (0, 63, 64, 127)]
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = good[:64] + ((int.from_bytes(bytes.fromhex(good[64:]), "little") + order) % 2**256).to_bytes(
        32, "little"
    ).hex()  # fmt: skip
    keys = [*flipped, malleable, good.upper(), good[:-2], good + "00", "", "0" * 128, good + "\n", None, 5, [good]]
    return [
        *({ANN.public: {"signature": one}} for one in keys),
        {ANN.public: other},
        {BOB.public: {"signature": good}},
        {ANN.public.upper(): {"signature": good}},
        {ANN.public + "00": {"signature": good}},
        {"key": {"signature": good}},
        {ANN.public: {"signature": good, "other_headers": "04001608"}},
        {ANN.public: {"Signature": good}},
        {ANN.public: good},
        {ANN.public: [good]},
        {ANN.public: None},
        {IDENTITY: {"signature": IDENTITY + "00" * 32}},
        {}, [], "x", None, 1,
    ]  # fmt: skip


@pytest.mark.parametrize("signatures", spoilt())
def test_whatever_else_stands_there_is_no_signature(signatures: Any) -> None:
    assert true_of(RECORD, signatures) == ()


@pytest.mark.parametrize("record", [b"", b"{", b"nul", b"[" * 100_000, b"\xff"])
def test_a_text_that_is_no_record_is_signed_by_nobody(record: bytes) -> None:
    assert signers(record, json.dumps(ANN.sign(RECORD))) == ()
    assert signers(canonical_json(RECORD), "{" * 100_000) == ()


def test_thousands_of_signatures_are_not_all_tried() -> None:
    many: dict[str, Any] = {}
    for number in range(1, 4 * MOST_KEYS):
        many |= Signer(number).sign(RECORD)
    assert len(true_of(RECORD, many)) == MOST_KEYS


def test_a_key_anybody_can_sign_for_is_none() -> None:
    forged = bytes.fromhex(IDENTITY + "00" * 32)
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(IDENTITY)).verify(forged, b"anything")  # as the library sees it
    for weak in (IDENTITY, "01" + "00" * 30 + "80", "00" * 32, "ee" + "ff" * 31, "ec" + "ff" * 30 + "7f"):
        assert not is_key(weak)
        with pytest.raises(PackhouseError, match="Anybody"):
            read_key(weak)


@pytest.mark.parametrize("text", ["", "ab", "0" * 63, "0" * 65, "g" * 64, ANN.public + "\0", "é" * 64])
def test_what_is_no_key_says_how_one_is_written(text: str) -> None:
    with pytest.raises(PackhouseError, match="64 hexadecimal") as caught:
        read_key(text)
    assert caught.value.code == "bad_request"


def test_a_key_may_be_pasted_in_capitals() -> None:
    assert read_key(f" {ANN.public.upper()}\n").hex() == ANN.public
