"""The Python format answers what every format does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.blobs.hashing import Hashes
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.formats.python.filename import parse_wheel_filename
from packhouse.formats.python.format import PythonFormat
from packhouse.formats.python.record import columns, make_record
from packhouse.formats.registry import Format
from packhouse.workflows.records import record_of
from tests.kit.partrow import PartRow
from tests.kit.wheels import FILENAME, hostile_wheels, make_wheel, metadata

PYTHON: Format = PythonFormat()


def test_a_file_is_recognised_by_declaration_or_by_name_and_first_bytes() -> None:
    assert PYTHON.identify(FILENAME) and PYTHON.identify(FILENAME, peek=b"PK\3\4")
    assert PYTHON.identify("anything", "bdist_wheel") and PYTHON.identify("demo-1.0.tar.gz", peek=b"\x1f\x8b\x08")
    assert not PYTHON.identify(FILENAME, peek=b"<html>") and not PYTHON.identify(FILENAME, "conda1")
    for filename in ("demo_1.0.tar.gz", "demo-1.0-0.conda", "demo-1.0-0.tar.bz2", "notes.txt"):  # R's have '_'
        assert not PYTHON.identify(filename)
    with pytest.raises(Malformed, match="Source distributions"):
        PYTHON.coordinate("simple", "demo-1.0.tar.gz")


def test_what_a_wheel_says(tmp_path: Path) -> None:
    path = tmp_path / "x"
    fields = ["Summary: A demo", "Requires-Python: >=3.9", "License-Expression: MIT", "Requires-Dist: Foo_Bar>=1",
              'Requires-Dist: pytest; extra == "test"', "Project-URL: Home, https://example.org"]  # fmt: skip
    path.write_bytes(
        make_wheel({"demo/__init__.py": b"", "demo.pth": b"import demo\n"}, metadata(fields=fields, body="# Hi"))
    )
    facts = PYTHON.inspect(path, FILENAME)
    at = facts.coordinate
    assert at == PYTHON.coordinate("simple", FILENAME) and at.ckey == f"simple/{FILENAME}"
    assert (at.family, at.name, at.version, at.build) == ("python", "demo", "1.0", "py3-none-any")
    assert PYTHON.relations(facts) == ["foo-bar"] and len(facts.depends) == 2
    assert (facts.license, facts.license_family, facts.summary, facts.description) == ("MIT", "MIT", "A demo", "# Hi")
    assert facts.install_code == ["demo.pth"] and facts.about["project_url"] == ["Home, https://example.org"]
    assert PYTHON.partitions(at) == [("simple", "demo")] and facts.fault == ""
    record = make_record(facts, Hashes(7, "ab" * 32, "cd" * 16))
    read = columns(FILENAME, record)
    assert (read.name, read.version, read.size, read.sha256, read.license_family) == (
        "demo",
        "1.0",
        7,
        "ab" * 32,
        "MIT",
    )
    assert record["requires-python"] == ">=3.9" and record["depends"] == facts.depends


def test_an_uploaded_wheel_gets_a_record_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.FORMATS, "python", PYTHON)
    path = tmp_path / "x"
    path.write_bytes(make_wheel())
    hashes = Hashes(path.stat().st_size, "ab" * 32, "cd" * 16)
    record = record_of(PYTHON.inspect(path, FILENAME), hashes)
    assert (record.name, record.version, record.build, record.size) == ("demo", "1.0", "py3-none-any", hashes.size)
    assert record.claimed_sha256 == bytes.fromhex("ab" * 32) and record.claimed_md5 is None and not record.signed
    page, _ = PYTHON.render_part([PartRow(FILENAME, record.json, record.packed, None, 0)])
    (file,) = json.loads(page)["files"]
    assert file["size"] == hashes.size and file["hashes"] == {"sha256": "ab" * 32} and "core-metadata" in file
    path.write_bytes(hostile_wheels()["record/surplus-member"])
    with pytest.raises(Malformed, match="RECORD does not list"):
        record_of(PYTHON.inspect(path, FILENAME), hashes)


def test_a_page_says_equal_versions_in_one_order_in_every_process() -> None:
    spelled = ["1.0", "1", "1.0.0", "1.0.0.0", "01.0", "1.0.0.0.0"]
    records = [
        {"name": "demo", "version": one, "filename": f"demo-{one}-py3-none-any.whl", "size": 1} for one in spelled
    ]
    rows = [PartRow(str(one["filename"]), json.dumps(one).encode(), b"", None, 0) for one in records]
    page, _ = PYTHON.render_part(rows)
    assert json.loads(page)["versions"] == sorted(spelled)


def test_versions_are_ordered_as_pep_440_says() -> None:
    ordered = ["1.0.dev1", "1.0a1", "1.0", "1.0+local", "1.0.post1", "1.10"]
    assert [max(ordered[:end], key=PYTHON.order) for end in range(1, 7)] == ordered


_PART = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9_.]{0,6}[A-Za-z0-9])?", fullmatch=True)
_VERSION = st.from_regex(
    r"(?:[0-9]{1,2}!)?[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}(?:rc[0-9])?(?:\+[a-z0-9]{1,5})?", fullmatch=True
)


@given(
    _PART.filter(lambda name: "__" not in name),
    _VERSION,
    st.lists(st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True), min_size=3, max_size=3),
)
def test_a_file_name_is_read_back(name: str, version: str, tags: list[str]) -> None:
    filename = f"{name}-{version}-{'-'.join(tags)}.whl"
    parsed = parse_wheel_filename(filename)
    assert parsed.build == "-".join(tags)
    again = parse_wheel_filename(f"{parsed.name.replace('-', '_')}-{parsed.version}-{parsed.build}.whl")
    assert again == parsed, "what is normal already stays as it is"


@given(st.text(max_size=60).map(lambda text: text + ".whl"))
def test_any_text_is_a_name_or_refused(filename: str) -> None:
    try:
        assert parse_wheel_filename(filename).name
    except Malformed as refused:
        assert str(refused).isprintable()
