"""Records: one canonical text, two encodings, and columns that tolerate what channels hold."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.base import Malformed
from packhouse.formats.conda.record import (
    canonical_json,
    columns,
    decode_record,
    from_msgpack,
    to_msgpack,
)

SHA, MD5 = "ab" * 32, "cd" * 16
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(texts.filter(lambda key: key not in ("md5", "sha256", "legacy_bz2_md5")), values, max_size=6)


@given(records)
def test_the_canonical_text_depends_on_the_content_only(record: dict[str, Any]) -> None:
    text = canonical_json(record)
    assert json.loads(text) == record
    assert canonical_json(dict(reversed(record.items()))) == text
    assert canonical_json(decode_record(text)) == text


@given(records)
def test_msgpack_gives_the_record_back(record: dict[str, Any]) -> None:
    record |= {"md5": MD5, "sha256": SHA}
    packed = msgspec.msgpack.decode(to_msgpack(record))
    assert (packed["md5"], packed["sha256"]) == (bytes.fromhex(MD5), bytes.fromhex(SHA))
    assert from_msgpack(packed) == record


@pytest.mark.parametrize(
    "record",
    [{"a": "\ud800"}, {"a": float("nan")}, {"a": [float("inf")]}, {"\udfff": 1}],
)
def test_what_json_cannot_hold_is_malformed(record: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        canonical_json(record)


@pytest.mark.parametrize(
    "record", [{"md5": "xyz"}, {"sha256": MD5}, {"sha256": 5}, {"size": 2**64}, {"a": [-(2**63) - 1]}]
)
def test_what_a_shard_cannot_hold_is_malformed(record: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        to_msgpack(record)


BASE = {
    "name": "demo",
    "version": "1.0",
    "build": "0",
    "build_number": 0,
    "depends": ["python"],
    "sha256": SHA,
    "md5": MD5,
}


@pytest.mark.parametrize(
    ("odd", "field", "value"),
    [
        ({"license": None}, "license", ""),
        ({"license": ["MIT", "BSD"]}, "license_family", "MIT"),
        ({"license_family": "Apache"}, "license_family", "APACHE"),
        ({"noarch": True}, "noarch", True),
        ({"noarch": "python"}, "noarch", True),
        ({"subdir": "noarch"}, "noarch", True),
        ({"noarch": None}, "noarch", False),
        ({"depends": None}, "depends", []),
        ({"timestamp": 1_500_000_000}, "timestamp_ms", 1_500_000_000_000),
        ({"timestamp": 1_500_000_000_123.5}, "timestamp_ms", 1_500_000_000_123),
        ({"timestamp": 0}, "timestamp_ms", None),
        ({"timestamp": 2**63}, "timestamp_ms", None),
        ({"sha256": None}, "sha256", None),
        ({"sha256": SHA.upper()}, "sha256", SHA),
        ({"md5": "not a digest"}, "md5", None),
        ({"arch": None, "app_entry": {"x": []}}, "name", "demo"),
    ],
)
def test_odd_records_are_read(odd: dict[str, Any], field: str, value: Any) -> None:
    record = BASE | odd
    for form in (record, json.dumps(record).encode(), msgspec.Raw(json.dumps(record).encode())):
        assert getattr(columns("demo-1.0-0.conda", form), field) == value


@pytest.mark.parametrize(
    "bad",
    [[], "x", None, {}, {"name": "demo"}, BASE | {"name": 1}, BASE | {"version": 1.0}, BASE | {"build_number": "0"},
     BASE | {"build_number": -1}, BASE | {"size": 2**63}, BASE | {"size": -1}, BASE | {"depends": "python"},
     BASE | {"depends": [1]}, BASE | {"build_number": 2**70}],
)  # fmt: skip
def test_unusable_records_are_malformed(bad: Any) -> None:
    with pytest.raises(Malformed, match=r"demo-1\.0-0\.conda"):
        columns("demo-1.0-0.conda", json.dumps(bad).encode())


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for read in (lambda: columns("x", data), lambda: decode_record(data)):
        with contextlib.suppress(Malformed):
            read()
