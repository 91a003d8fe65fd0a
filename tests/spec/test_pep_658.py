"""PEP 658 and 714: the METADATA of a wheel is served beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from packhouse.core.blobs.hashing import Hashes
from packhouse.formats.python.inspect import METADATA_SUFFIX, inspect
from packhouse.formats.python.pages import JSON_TYPE, project_html
from packhouse.formats.python.record import canonical_json, make_record
from packhouse.formats.python.upstream import parse_project
from tests.kit.partrow import PartRow
from tests.kit.simple import URL, page_of, row
from tests.kit.wheels import FILENAME, make_wheel, metadata

SHA = "cd" * 32


class TestTheFileBesideAWheel:
    def test_it_is_the_metadata_byte_for_byte_and_its_hash_is_announced(self, tmp_path: Path) -> None:
        text = metadata(fields=["Summary: D\u00e9mo"], body="Line\r\n\r\nend").replace(b"\n", b"\r\n", 2)
        path = tmp_path / "x"
        path.write_bytes(make_wheel(meta=text))
        facts = inspect(path, FILENAME)
        assert facts.sidecars[METADATA_SUFFIX].encode() == text
        record = make_record(facts, Hashes(5, "ab" * 32, "cd" * 16))
        page = json.loads(page_of(PartRow(FILENAME, canonical_json(record), b"", None, 0)))
        assert page["files"][0]["core-metadata"] == {"sha256": hashlib.sha256(text).hexdigest()}


class TestAttributes:
    def test_old_and_new_names_say_the_same(self) -> None:
        page = page_of(row(FILENAME, {"core-metadata": {"sha256": SHA}}))
        (file,) = json.loads(page)["files"]
        assert file["core-metadata"] == file["dist-info-metadata"] == {"sha256": SHA}
        html = project_html(page).decode()
        assert f'data-core-metadata="sha256={SHA}" data-dist-info-metadata="sha256={SHA}"' in html

    def test_none_without_a_hash(self) -> None:
        assert b"metadata" not in project_html(page_of(row(FILENAME)))


class TestUpstreams:
    def test_only_metadata_that_can_be_verified_is_announced_on(self) -> None:
        file = {"filename": FILENAME, "url": "x", "hashes": {"sha256": "ab" * 32}}
        for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
            for said, kept in ((True, None), ({"sha256": SHA.upper()}, {"sha256": SHA}), ({"md5": "00"}, None)):
                page = json.dumps({"meta": {}, "name": "demo", "files": [file | {key: said}]}).encode()
                (found,) = parse_project(page, JSON_TYPE, URL, "demo").files
                assert found.record.get("core-metadata") == kept
