"""Keys added to encoded records are the same as keys added before encoding."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.conda.record import canonical_json, to_msgpack
from packhouse.formats.conda.splice import encode_map_header, extra, map_header, splice_json, splice_msgpack

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda key: key not in ("md5", "sha256")
)
records = st.dictionaries(keys, st.integers(-(2**63), 2**63 - 1) | keys | st.lists(keys, max_size=2), max_size=20)
extras = st.dictionaries(st.sampled_from(["indexed_timestamp", "run_exports", "z"]), st.integers(0, 2**50), max_size=3)


@given(records, extras)
def test_splicing_equals_encoding(record: dict[str, Any], more: dict[str, int]) -> None:
    assert json.loads(splice_json(canonical_json(record), extra(more))) == record | more
    assert msgspec.msgpack.decode(splice_msgpack(to_msgpack(record), extra(more))) == record | more


@pytest.mark.parametrize("value", [7, "indexed_timestamp", ['"indexed_timestamp"']])
def test_a_key_the_record_has_is_replaced_not_doubled(value: Any) -> None:
    record, more = {"a": value, "indexed_timestamp": 5}, {"indexed_timestamp": 9}
    text = splice_json(canonical_json(record), extra(more))
    assert json.loads(text, object_pairs_hook=list) == [("a", value), ("indexed_timestamp", 9)]
    packed = splice_msgpack(to_msgpack(record), extra(more))
    assert msgspec.msgpack.decode(packed) == record | more and map_header(packed)[0] == 2


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65535, 65536, 2**31])
def test_map_headers(count: int) -> None:
    header = encode_map_header(count)
    assert map_header(header) == (count, len(header))


def test_what_is_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match="msgpack map"):
        map_header(b"\x93")
