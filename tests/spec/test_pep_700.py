"""PEP 700: versions, sizes and times of a project page."""

from __future__ import annotations

import json

from tests.kit.simple import VISIBLE_AT, page_of, row

WHEEL = "demo-1.0-py3-none-any.whl"


class TestVersions:
    def test_each_once_from_old_to_new(self) -> None:
        names = ["demo-1.10-py3-none-any.whl", "demo-1.9-py3-none-any.whl", "demo-1.10-cp311-abi3-any.whl",
                 "demo-2.0rc1-py3-none-any.whl"]  # fmt: skip
        assert json.loads(page_of(*map(row, names)))["versions"] == ["1.9", "1.10", "2.0rc1"]


class TestSizes:
    def test_a_page_where_one_is_not_known_is_of_version_1_0(self) -> None:
        page = json.loads(page_of(row(WHEEL), row("demo-1.1-py3-none-any.whl", {"size": None})))
        assert page["meta"] == {"api-version": "1.0"} and "versions" not in page
        assert json.loads(page_of(row(WHEEL)))["meta"] == {"api-version": "1.1"}


class TestUploadTime:
    def test_it_is_when_the_file_became_visible_here(self) -> None:
        said = row(WHEEL, {"upload-time": "2001-01-01T00:00:00Z"}, visible_at=VISIBLE_AT)
        assert json.loads(page_of(said))["files"][0]["upload-time"] == "2025-06-15T15:06:40.123Z"

    def test_a_signed_record_is_not_touched(self) -> None:
        claimed = row(WHEEL, {"upload-time": "2001-01-01T00:00:00Z"}, signatures="{}")
        assert json.loads(page_of(claimed))["files"][0]["upload-time"] == "2001-01-01T00:00:00Z"
        page = json.loads(page_of(row(WHEEL, signatures="{}")))
        assert "upload-time" not in page["files"][0] and page["meta"] == {"api-version": "1.0"}
