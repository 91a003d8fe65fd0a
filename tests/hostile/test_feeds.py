"""Feeds that are damaged, or made to hurt: a reason for a record or the file and nothing else, in bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhouse.formats.archives.zstandard import zstd3
from packhouse.formats.base import Malformed
from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.security.vulnerabilities.feeds import Skipped, read, survey

RECORDS = Path(__file__).parents[1] / "unit/security/vulnerabilities/feeds/records"
GOOD = {"id": "GOOD-1", "modified": "2024-01-01T00:00:00Z", "affected": []}
KINDS = ("osv", "nvd", "kev", "curated")
MIB = 1024 * 1024


def feed(folder: Path, data: bytes, name: str = "feed") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def outcome(path: Path, kind: str | None = None) -> tuple[list[Advisory], list[Skipped]]:
    """Read a feed to its end; what is given must be fit to be stored and sent."""
    found, skipped = [], []
    for one in read(path, kind):
        assert b"\\u0000" not in msgspec.json.encode(one)  # which refuses half a surrogate pair, as databases do
        if isinstance(one, Skipped):
            assert one.where and len(one.reason) < 1_000
            skipped.append(one)
        else:
            found.append(one)
    return found, skipped


@contextlib.contextmanager
def bounded(peak: int, seconds: float) -> Iterator[None]:
    """Fail when what is done in it takes more memory than `peak` bytes or more processor time than `seconds`."""
    tracemalloc.start()
    start = process_time()
    try:
        yield
        used, taken = tracemalloc.get_traced_memory()[1], process_time() - start
    finally:
        tracemalloc.stop()
    assert used < peak, f"{used / MIB:.0f} MiB"
    assert taken < seconds


_DEEP = b'{"id": "X-1", "modified": "x", "affected": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
_MANY_NAMES = [b'"A-%d"' % number for number in range(2_001)]
_BAD: dict[str, tuple[bytes, str]] = {
    "truncated": (b'{"id": "X-1", "modi', "cannot be read"),
    "deep": (_DEEP, "nested too deeply"),
    "deep beside": (b'{"id": "X-1", "modified": "x", "credits": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "nested"),
    "not UTF-8": (b'{"id": "X-\xff", "modified": "x"}', "not UTF-8"),
    "half a surrogate": (b'{"id": "X-1", "modified": "x", "details": "\\ud800"}', "cannot be read"),
    "NaN": (b'{"id": "X-1", "cvss": [{"base_score": NaN}]}', "malformed"),
    "wrong type": (b'{"id": 7, "modified": "x"}', "Expected `str`"),
    "wrong type inside": (b'{"id": "X-1", "affected": [{"package": {"name": []}}]}', "$.affected[0].package.name"),
    "no object": (b"[1]", "no record of a feed"),
    "nothing known": (b'{"name": "numpy"}', "no record of a feed"),
    "no identifier": (b'{"id": "<script>", "modified": "x"}', "no identifier"),
    "NUL": (b'{"id": "X\\u0000", "modified": "x"}', "no identifier"),
    "two values": (b'{"id": "X-1", "modified": "x"} {}', "trailing"),
    "long identifier": (b'{"id": "' + b"A" * MIB + b'", "modified": "x"}', "no identifier"),
    "too long": (b'{"id": "X-1", "modified": "' + b"A" * 5 * MIB + b'"}', "4,194,304 bytes"),
    "many versions": (
        b'{"id": "X-1", "affected": [{"versions": [%b]}]}' % b",".join([b'"1"'] * 10_001),
        "10,001 versions",
    ),
    "many packages": (b'{"id": "X-1", "affected": [%b]}' % b",".join([b"{}"] * 2_001), "2,001 packages"),
    "many aliases": (b'{"id": "X-1", "modified": "", "aliases": [%b]}' % b",".join(_MANY_NAMES), "2,001 aliases"),
}


@pytest.mark.parametrize("case", _BAD)
def test_a_bad_record_does_not_spoil_its_neighbours(tmp_path: Path, case: str) -> None:
    data, reason = _BAD[case]
    good = json.dumps(GOOD).encode()
    with bounded(48 * MIB, 5):
        found, skipped = outcome(feed(tmp_path, good + b"\n" + data + b"\n" + good.replace(b"D-1", b"D-2")))
    assert [one.id for one in found] == ["GOOD-1", "GOOD-2"]
    assert [one.where for one in skipped] == ["line 2"] and reason in skipped[0].reason


@pytest.mark.parametrize("case", [case for case in _BAD if case not in ("truncated", "two values", "no object")])
def test_neither_in_a_document(tmp_path: Path, case: str) -> None:
    data, reason = _BAD[case]
    good = json.dumps(GOOD).encode()
    found, skipped = outcome(feed(tmp_path, b"[" + good + b", " + data + b"," + good.replace(b"D-1", b"D-2") + b"]"))
    assert [one.id for one in found] == ["GOOD-1", "GOOD-2"]
    assert [one.where for one in skipped] == ["record 2"]
    assert reason in skipped[0].reason or "4,194,304" in skipped[0].reason


def test_what_is_no_object_in_a_list_is_told(tmp_path: Path) -> None:
    data = b'{"vulnerabilities": [1, [2], null, %b, "x"]}' % json.dumps(GOOD).encode()
    found, skipped = outcome(feed(tmp_path, data))
    assert [one.id for one in found] == ["GOOD-1"]
    assert len(skipped) >= 3 and {one.reason for one in skipped} == {"It is no JSON object."}


def test_bad_parts_leave_the_rest_of_the_record(tmp_path: Path) -> None:
    package = {"ecosystem": "PyPI", "name": "django"}
    ranges = [
        {"type": "ECOSYSTEM", "events": [{"introduced": ""}]},
        {"type": "ECOSYSTEM", "events": [{"started": "1"}]},
        {"type": "ECOSYSTEM", "events": [{"fixed": "2"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "3", "fixed": "2"}]},
    ]
    record = {
        **GOOD,
        "published": "0000-13-99",
        "withdrawn": "9" * MIB,
        "aliases": ["CVE-2024-1", "not a name", "x" * MIB],
        "severity": [{"type": "CVSS_V3", "score": score} for score in ("CVSS:3.1/AV:N", "9.8", "", "x" * MIB)],
        "affected": [
            {"package": package, "ranges": ranges, "versions": ["1", "", "v" * 300, "1\n2", "1"]},
            {"package": {"ecosystem": "PyPI", "name": "n" * MIB}, "versions": ["1"]},
            {"package": {"ecosystem": "PyPI", "name": "a b"}, "versions": ["1"]},
        ],
        "references": [
            {"url": url} for url in ("javascript:alert(1)", "https://example.org/" + "x" * MIB, "https://a")
        ],
    }
    path = feed(tmp_path, json.dumps(record).encode())
    assert path.stat().st_size > 4 * MIB
    record["withdrawn"], record["references"] = "soon", record["references"][2:]
    (one,), skipped = outcome(feed(tmp_path, json.dumps(record).encode()))
    assert one.aliases == ("CVE-2024-1",) and one.vectors == () and one.references == ("https://a",)
    assert (one.published_at, one.withdrawn_at) == (None, None)
    (affected,) = one.affected
    assert affected.versions == ("1",)
    assert [[(event.kind, event.version) for event in events] for events in affected.ranges] == [
        [("introduced", "0"), ("fixed", "2")],
        [("introduced", "3"), ("fixed", "2")],
    ]
    reasons = " ".join(one.reason for one in skipped)
    for told in ("published", "withdrawn", "alias", "CVSS", "version of django", "range of django", "package name"):
        assert told in reasons
    assert {one.where for one in skipped} == {"the record (GOOD-1)"}


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, data in members.items():
            writer.writestr(name, data)
    return out.getvalue()


_LINES = (RECORDS / "osv.jsonl").read_bytes()
_ZIP = _zip({"a.json": _LINES.splitlines()[0], "b.json": _LINES.splitlines()[1]})
_BOMB = zlib.compressobj(9, zlib.DEFLATED, 31)
_SPACES = b"".join([_BOMB.compress(b" " * MIB) for _ in range(400)]) + _BOMB.flush()
_UNREADABLE = {
    "empty": b"",
    "torn zstd": zstd3(_LINES)[:-20],
    "torn gzip": gzip.compress(_LINES)[:-20],
    "gzip with another end": gzip.compress(_LINES) + b"end",
    "gzip with a wrong sum": gzip.compress(_LINES)[:-8] + bytes(8),
    "torn zip": _ZIP[:-10],
    "zip with a wrong sum": _ZIP.replace(_ZIP[45:55], bytes(10), 1),
    "a name that climbs": _zip({"../a.json": b"{}"}),
    "an absolute name": _zip({"/etc/a.json": b"{}"}),
    "a name of another system": _zip({"..\\a.json": b"{}"}),
    "a long name": _zip({"a" * 2_000 + ".json": b"{}"}),
    "a name twice": _zip({"a.json": b"{}", "b.json": b"{}"}).replace(b"b.json", b"a.json"),
    "a bomb": _SPACES,
    "a bomb in a zip": _zip({"a.json": b" " * 300 * MIB}),
    "many small bombs": _zip({f"{n}.json": b" " * 30 * MIB for n in range(10)}),
    "torn document": (RECORDS / "nvd.json").read_bytes()[:2_000],
    "document and more": (RECORDS / "nvd.json").read_bytes() + b"{}",
    "brackets that do not fit": b'{"vulnerabilities": [}]',
    "no list": b'{"a": "' + b"x" * 5 * MIB + b'"}',
    "one endless text": b'{"vulnerabilities": [{"id": "' + b"x" * 20 * MIB,
    "10,000 levels": b"[" * 10_000,
    "prose": b"Dear administrator,\nattached you find",
    "UTF-16": '[{"id": "X-1"}]'.encode("utf-16"),
    "another table": b"name,id\nx,1\n",
    "the same column twice": b"id,id\nx,1\n",
}


@pytest.mark.parametrize("case", _UNREADABLE)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, case: str) -> None:
    path = feed(tmp_path, _UNREADABLE[case])
    with bounded(120 * MIB, 20), pytest.raises(Malformed) as caught:
        outcome(path)
    assert 10 < len(str(caught.value)) < 400


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing"):
        with pytest.raises(Malformed):
            outcome(tmp_path / name)
    (tmp_path / "pipe.json").symlink_to(tmp_path / "pipe")
    assert survey(tmp_path) == []


def test_millions_of_empty_streams_take_no_time(tmp_path: Path) -> None:
    path = feed(tmp_path, gzip.compress(b"") * 100_000)
    with bounded(32 * MIB, 30), pytest.raises(Malformed, match="compressed streams"):
        outcome(path)


def test_a_table_whose_quote_never_ends(tmp_path: Path) -> None:
    rows = b"".join(b"CVE-2024-%d,numpy,cleared\n" % n for n in range(20_000))
    found, skipped = outcome(feed(tmp_path, b'id,package,status\nCVE-2024-1,"numpy,active\n' + rows))
    assert skipped and len(found) < 20_000


def test_a_torn_row_says_nothing(tmp_path: Path) -> None:
    """What is cut off could be the checksum of the one file it is about."""
    data = b"id,package,status,sha256\nCVE-2024-1,numpy,cleared\n\nCVE-2024-2,\xff,active,\nCVE-2024-3,x,active,\n"
    found, skipped = outcome(feed(tmp_path, data))
    assert [one.id for one in found] == ["CVE-2024-3"]
    assert [one.reason for one in skipped] == ["The row has 3 values for 4 columns.", "It is not UTF-8."]


def test_one_id_with_endless_rows(tmp_path: Path) -> None:
    rows = b"".join(b"CVE-2024-1,numpy,cleared,%d\n" % n for n in range(10_001))
    found, (skipped,) = outcome(feed(tmp_path, b"id,package,status,version\n" + rows))
    assert found == [] and "10,001 things" in skipped.reason


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feeds")


def harmless(path: Path, kind: str | None) -> None:
    """Read a feed of anything: there is nothing to see but its records, what is passed over, and Malformed."""
    with contextlib.suppress(Malformed):
        outcome(path, kind)


_FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_NAMES = st.sampled_from(
    """id aliases upstream summary details severity type score affected package ecosystem name ranges events introduced
    fixed last_affected limit versions references url modified published withdrawn database_specific cve cveID
    descriptions lang value metrics cvssMetricV31 cvssMetricV40 cvssData vectorString baseScore configurations nodes
    cpeMatch criteria vulnerable versionEndExcluding vulnStatus cvss vector base_score version source spec status
    sha256 note kind curated dateAdded known_exploited advisories vulnerabilities""".split()  # noqa: SIM905 - legible
)
_WORDS = st.sampled_from(
    [
        *("CVE-2024-1", "1.0", "0", "PyPI", "cpe:2.3:a:v:p:*:*:*:*:*:*:*:*", "cpe:2.3:a:\\::\\", "active", "CVSS_V3"),
        *(
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "AV:N/AC:L/Au:N/C:P/I:P/A:P",
            "CVSS:4.0/AV:N",
            "CVSS:3.1/AV:",
        ),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-W01", "\ud800", "\udc00", "\0", "1e999"),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=25,
)


@given(
    records=st.lists(st.dictionaries(_NAMES, _VALUES), max_size=4),
    kind=st.sampled_from((None, *KINDS)),
    lines=st.booleans(),
)
@_FUZZ
def test_any_json_with_names_we_know(folder: Path, records: list[Any], kind: str | None, lines: bool) -> None:
    text = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    harmless(feed(folder, text.encode()), kind)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, child in inside for leaf in _leaves(child, (*path, key)))]


def _examples() -> dict[str, list[Any]]:
    curated = json.loads((RECORDS / "curated.json").read_text())["advisories"]
    nvd, kev = (json.loads((RECORDS / f"{name}.json").read_text())["vulnerabilities"] for name in ("nvd", "kev"))
    return {"osv": [json.loads(line) for line in _LINES.splitlines()], "nvd": nvd, "kev": kev, "curated": curated}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@_FUZZ
def test_a_good_record_with_anything_in_one_place(folder: Path, kind: str, data: st.DataObject) -> None:
    record = json.loads(json.dumps(data.draw(st.sampled_from(_examples()[kind]))))
    path = data.draw(st.sampled_from(_leaves(record)[1:]))
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(_VALUES)
    harmless(feed(folder, json.dumps(record).encode()), kind)


@pytest.mark.parametrize(
    "name", ["osv.jsonl", "nvd.json", "kev.json", "curated.json", "curated.csv", "zip", "zst", "gz"]
)
def test_damaged_bytes(folder: Path, name: str) -> None:
    packed = {"zip": _ZIP, "zst": zstd3(_LINES), "gz": gzip.compress(_LINES)}
    good = packed.get(name) or (RECORDS / name).read_bytes()
    chance = random.Random(name)
    for _ in range(150):
        bad = bytearray(good[: chance.choice((len(good), chance.randrange(1, len(good))))])
        for _ in range(chance.choice((0, 1, 5))):
            bad[chance.randrange(len(bad))] = chance.choice(b'\0"{}[],:\\\n\r;\xff\xc3a1')
        harmless(feed(folder, bytes(bad)), None)


@given(text=st.text(alphabet="id,;\t\n\r\"'packgestu1\0é", max_size=60))
@_FUZZ
def test_any_table(folder: Path, text: str) -> None:
    harmless(feed(folder, ("id,package,status\n" + text).encode()), None)
    harmless(feed(folder, text.encode()), "curated")
