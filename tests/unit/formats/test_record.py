"""Records: one canonical text, two encodings, and columns that tolerate what channels hold."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rattler import Channel, PackageName, SparseRepoData

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
        ({"license_family": "Apache"}, "license_family", "APACHE"),
        ({"noarch": True}, "noarch", True),
        ({"noarch": "python"}, "noarch", True),
        ({"subdir": "noarch"}, "noarch", True),
        ({"noarch": None}, "noarch", False),
        ({"timestamp": 1_500_000_000}, "timestamp_ms", 1_500_000_000_000),
        ({"timestamp": 0}, "timestamp_ms", None),
        ({"timestamp": 253_402_207_200_000}, "timestamp_ms", 253_402_207_200_000),
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
     BASE | {"depends": [1]}, BASE | {"build_number": 2**70}, BASE | {"license": "x" * 16_385},
     {key: value for key, value in BASE.items() if key != "build_number"}],
)  # fmt: skip
def test_unusable_records_are_malformed(bad: Any) -> None:
    with pytest.raises(Malformed, match=r"demo-1\.0-0\.conda"):
        columns("demo-1.0-0.conda", json.dumps(bad).encode())


#: key → values that clients can read, and values that make them refuse the index
KNOWN: dict[str, tuple[list[Any], list[Any]]] = {
    "version": (["1!2.0+a"], [">>", "", 7]),
    "timestamp": (
        [None, 0, 1_500_000_000, 253_402_207_200, 253_402_300_800, 253_402_207_200_000],
        [253_402_207_201, 253_402_300_799, 253_402_207_200_001, 9 * 10**18, 2**63, 1.5, "5", True],
    ),
    "indexed_timestamp": ([None, 1_500_000_000_000], ["x", 2**62]),
    "depends": ([[], ["a >=1"]], [None, "a", [1]]),
    "constrains": ([[], ["a >=1"]], [None, "a", [1]]),
    "track_features": (["", "a b", ["a"]], [None, 7, {}, [1]]),
    "features": ([None, "a"], [7, ["a"]]),
    "platform": ([None, "linux"], [7]),
    "arch": ([None, "x86_64"], [7]),
    "subdir": (["noarch", ""], [None, 7]),
    "noarch": ([None, True, False, "python", "generic", ""], ["odd", 7]),
    "license": ([None, "MIT"], [7, ["MIT"]]),
    "license_family": ([None, "MIT"], [7, ["MIT"]]),
    "python_site_packages_path": ([None, "lib"], [7]),
    "extra_depends": ([{}, {"a": ["b"]}], [None, 7, [], {"a": "b"}]),
    "legacy_bz2_md5": ([None, MD5], ["", "zz", MD5[:30], 5, MD5[:-3] + " cd"]),
    "legacy_bz2_size": ([None, 5], [-5, "x", 5.0]),
    "size": ([None, 5], [-5, "5", 5.0]),
    "flags": ([[], ["a"]], [None, 7, "a", [1]]),
    "run_exports": ([None, {}, {"weak": ["a"]}, {"odd": "x"}], ["a", 7, {"weak": "a"}, {"weak": None}]),
    "purls": (
        [None, [], ["pkg:pypi/x@1.0?a=b&c=d#e"], ["pkg:github/a/b"], ["pkg:pypi/caf%C3%A9"]],
        ["a", {}, [1], ["x"], ["pkg:x"], ["pkg:1pi/x"], ["pkg:pypi/x?a"], ["pkg:pypi/%ff"], ["pkg:pypi/@1"]],
    ),
    "a key of our own": ([None, 7, {"a": [1]}], []),
}


def client_reads(record: dict[str, Any], folder: Path) -> bool:
    """Say whether py-rattler can load the record from a repodata.json."""
    path = folder / "repodata.json"
    path.write_text(json.dumps({"info": {}, "packages": {}, "packages.conda": {"demo-1.0-0.conda": record}}))
    try:
        data = SparseRepoData(Channel("https://example.org/c"), "noarch", path)
        return len(data.load_records(PackageName("demo"))) == 1
    except Exception:  # it has an exception for each kind of fault
        return False


@pytest.mark.parametrize("key", KNOWN)
def test_we_take_what_clients_read_and_nothing_else(key: str, tmp_path: Path) -> None:
    taken, refused = KNOWN[key]
    for value in taken:
        columns("demo-1.0-0.conda", BASE | {key: value})
        assert client_reads(BASE | {key: value}, tmp_path), value
    for value in refused:
        assert not client_reads(BASE | {key: value}, tmp_path), value
        with pytest.raises(Malformed):
            columns("demo-1.0-0.conda", BASE | {key: value})


@given(st.from_regex(r"pkg:/{0,2}[a-z1.]{0,3}/?[a-z@?#%/=&]{0,8}", fullmatch=True))
def test_a_package_url_we_take_is_one_that_clients_read(purl: str) -> None:
    with contextlib.suppress(Malformed), TemporaryDirectory() as folder:
        columns("demo-1.0-0.conda", BASE | {"purls": [purl]})
        assert client_reads(BASE | {"purls": [purl]}, Path(folder)), purl


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for read in (lambda: columns("x", data), lambda: decode_record(data)):
        with contextlib.suppress(Malformed):
            read()
