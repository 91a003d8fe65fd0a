"""Reading the indexes of other channels."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.archives.zstandard import unzstd, unzstd_own, zstd3
from packhouse.formats.base import Malformed
from packhouse.formats.conda.record import canonical_json, to_msgpack
from packhouse.formats.conda.shards import render_shard, render_shard_index
from packhouse.formats.conda.upstream import (
    parse_repodata,
    parse_shard,
    parse_shard_index,
    separate_url,
    source_hash,
)
from tests.kit.condapkg import zstd

RECORD: dict[str, Any] = {"name": "demo", "version": "1.0", "build": "0", "build_number": 0, "sha256": "ab" * 32}


def test_records_come_back_as_the_text_they_were() -> None:
    text = b'{"name" : "demo",  "version":"1.0", "x": 1e5}'
    index = parse_repodata(
        b'{"info": {"subdir": "noarch", "base_url": "../files/"}, "packages": {"a.tar.bz2": ' + text + b'},'
        b' "packages.conda": {"a.conda": {}, "b.conda": {}}, "removed": ["b.conda", "c.conda"], "repodata_version": 2,'
        b' "signatures": {"a.conda": {"k": {"signature": "00"}}}, "unknown": [1]}'
    )  # fmt: skip
    assert bytes(index.packages["a.tar.bz2"]) == text
    assert list(index.packages_conda) == ["a.conda"]
    assert (index.info.subdir, index.info.base_url) == ("noarch", "../files/")
    assert json.loads(bytes(index.signatures["a.conda"])) == {"k": {"signature": "00"}}


def test_later_revisions_are_kept_apart() -> None:
    index = parse_repodata(b'{"v3": {"conda": {"demo-1.0-0": {"name": "demo"}}}, "repodata_version": 3}')
    assert not index.packages and index.unsupported == 1
    assert parse_repodata(b'{"v3": {"conda": [], "whl": {"a": 1, "b": 2}}}').unsupported == 2


@pytest.mark.parametrize(
    "data", [b"[]", b"{", b'{"packages": []}', b'{"info": {"subdir": "../x"}}', b"\xff", b"[" * 9999, b"", b" \n"]
)
def test_an_ill_formed_repodata_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_repodata(data)


def test_an_empty_file_is_an_empty_index_where_none_was_before() -> None:
    assert parse_repodata(b" \n", may_be_empty=True).packages == {}


@pytest.mark.parametrize("removed", [b'["x.conda", 5, {}]', b'[5, "x.conda", null]'])
def test_what_cannot_be_removed_is_passed_over_and_said(removed: bytes) -> None:
    index = parse_repodata(b'{"packages.conda": {"a.conda": {}, "x.conda": {}}, "removed": ' + removed + b"}")
    assert list(index.packages_conda) == ["a.conda"]
    assert [reason[:2] for _, reason in index.faults] == ["2 "]


@pytest.mark.parametrize("item", [b"[],", b'"a",'])
def test_a_list_of_what_is_removed_that_is_too_long_is_not_decoded(item: bytes) -> None:
    index = parse_repodata(b'{"packages.conda": {"a.conda": {}}, "removed": [' + item * (2 << 20) + b'"a.conda"]}')
    assert list(index.packages_conda) == ["a.conda"] and len(index.faults) == 1
    assert "bytes; at most" in index.faults[0][1]
    shard = {"packages.conda": {"a.conda": {"name": "a"}}, "removed": [""] * (1 << 20) + ["a.conda"]}
    index = parse_shard(zstd3(msgspec.msgpack.encode(shard)))
    assert list(index.packages_conda) == ["a.conda"] and "bytes; at most" in index.faults[0][1]


def test_a_shard_index_of_too_many_names_is_refused() -> None:
    shards = {f"n{number}": bytes(32) for number in range(1_000_001)}
    with pytest.raises(Malformed, match="1,000,001 names"):
        parse_shard_index(zstd3(msgspec.msgpack.encode({"version": 1, "info": {}, "shards": shards})))


def test_half_a_surrogate_pair_costs_only_the_records_that_hold_one() -> None:
    index = parse_repodata(
        b'{"packages": {"\\ud800-1-0.tar.bz2": {}, "good.tar.bz2": {"s": "\\ud83d\\ude00 \\\\ud800"}},'
        b' "packages.conda": {"half.conda": {"s": "\\udc00\\ud800"}}, "removed": ["\\ud83d"]}'
    )
    assert list(index.packages) == ["\ufffd-1-0.tar.bz2", "good.tar.bz2"]
    assert json.loads(bytes(index.packages["good.tar.bz2"])) == {"s": "\U0001f600 \\ud800"}
    with pytest.raises(Malformed):
        separate_url(index.packages_conda["half.conda"])


def test_a_shard_with_a_record_that_is_none_gives_the_others() -> None:
    records = {"good.conda": {"name": "x"}, "list.conda": [1], "nan.conda": {"size": float("nan")}}
    index = parse_shard(zstd3(msgspec.msgpack.encode({"packages.conda": records, "removed": [b"x"]})))
    assert bytes(index.packages_conda["good.conda"]) == b'{"name":"x"}' and index.faults
    for name in ("list.conda", "nan.conda"):
        with pytest.raises(Malformed):
            separate_url(index.packages_conda[name])


def test_equal_text_has_an_equal_hash_that_fits_a_database() -> None:
    hashes = {source_hash(b"%d" % number) for number in range(1000)}
    assert len(hashes) == 1000 and all(-(2**63) <= one < 2**63 for one in hashes) and min(hashes) < 0
    assert source_hash(msgspec.Raw(b"{}")) == source_hash(b"{}")


def test_a_foreign_url_is_taken_out_of_the_record() -> None:
    record, url = separate_url(json.dumps(RECORD | {"url": "https://elsewhere.example/demo"}).encode())
    assert url == "https://elsewhere.example/demo" and record == RECORD
    assert separate_url(canonical_json(RECORD)) == (RECORD, None)


def test_no_record_sends_clients_elsewhere() -> None:
    elsewhere = dict.fromkeys(("url", "base_url", "shards_base_url", "channel"), "https://elsewhere.example/x")
    assert separate_url(json.dumps(RECORD | elsewhere).encode()) == (RECORD, "https://elsewhere.example/x")
    for key, value in elsewhere.items():  # the signature covers it, so that it can neither stay nor go
        with pytest.raises(Malformed, match=key):
            separate_url(json.dumps(RECORD | {key: value}).encode(), signed=True)
    named = RECORD | {"channel": "main"}
    assert separate_url(json.dumps(named).encode(), signed=True) == (named, None)
    with pytest.raises(Malformed):
        separate_url(json.dumps(RECORD | {"url": "https://x/\0"}).encode())


def test_a_shard_gives_the_records_of_repodata() -> None:
    entries = [("demo-1.0-0.conda", to_msgpack(RECORD), None), ("demo-1.0-0.tar.bz2", to_msgpack(RECORD), None)]
    index = parse_shard(zstd3(render_shard(entries)))
    assert bytes(index.packages_conda["demo-1.0-0.conda"]) == canonical_json(RECORD)
    assert bytes(index.packages["demo-1.0-0.tar.bz2"]) == canonical_json(RECORD)


def test_a_shard_index_gives_names_and_hashes() -> None:
    digest = os.urandom(32)
    index = parse_shard_index(zstd3(render_shard_index("noarch", "2026-01-01T00:00:00Z", [("demo", digest)], "s/")))
    assert index.shards == {"demo": digest} and index.info.shards_base_url == "s/" and index.info.base_url == ""
    with pytest.raises(Malformed, match="SHA-256"):
        parse_shard_index(zstd3(render_shard_index("noarch", "", [("demo", b"short")], "s/")))


def test_expansion_is_capped() -> None:
    bomb = zstd.compress(bytes(20 << 20), 1)
    with pytest.raises(Malformed, match="expands to more than"):
        parse_shard(bomb)
    assert len(unzstd(bomb, 20 << 20)) == 20 << 20


def test_only_foreign_bytes_may_not_expand_too_much() -> None:
    alike = zstd3(bytes(65 << 20))
    with pytest.raises(Malformed, match="more than 50 times its compressed size: a decompression bomb"):
        unzstd(alike, 1 << 30)
    assert len(unzstd_own(alike, 1 << 30)) == 65 << 20
    with pytest.raises(Malformed, match="more than 1,000 bytes"):
        unzstd_own(alike, 1000)


@pytest.mark.parametrize(
    "data", [b"", b"x", zstd3(b"x" * 99)[:-1], zstd3(b"x") + b"y", b"\x28\xb5\x2f\xfd\0\xa8\1\0\0"]
)
def test_damaged_zstd_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        unzstd(data, 1000)


def test_frames_are_read_one_after_the_other_but_not_without_end() -> None:
    pieces = [os.urandom(5 << 20), bytes(9 << 20), b"", os.urandom(100)]
    assert unzstd(b"".join(map(zstd3, pieces)), 15 << 20) == b"".join(pieces)
    skippable = b"\x50\x2a\x4d\x18\0\0\0\0"
    for empty in (skippable, zstd3(b"")):
        assert unzstd(empty * 900 + zstd3(b"x"), 10) == b"x"
        with pytest.raises(Malformed, match="more than 1,000 zstd frames"):
            unzstd(empty * 1001, 10)


@given(st.binary(max_size=200))
def test_any_bytes_are_malformed_or_an_index(data: bytes) -> None:
    assert unzstd(zstd3(data), 200) == data
    for parse in (parse_repodata, parse_shard, parse_shard_index, lambda x: parse_shard(zstd3(x))):
        try:
            parse(data)
        except Malformed as error:
            assert str(error)
