"""PEP 691: the simple repository as JSON, and which of its forms a client gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from packhouse.formats.base import Malformed
from packhouse.formats.python.format import PythonFormat
from packhouse.formats.python.pages import HTML_TYPE, JSON_TYPE, negotiate
from packhouse.formats.python.upstream import ACCEPT, parse_project
from tests.kit.simple import URL, page_of, row

SHA = "ab" * 32
WHEEL = "demo-1.0-py3-none-any.whl"


def _page(*files: dict[str, Any], more: dict[str, Any] | None = None) -> bytes:
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "demo", "files": files} | (more or {})).encode()


def _file(filename: str = WHEEL, more: dict[str, Any] | None = None) -> dict[str, Any]:
    said = {"filename": filename, "url": f"https://files.example.net/{filename}", "hashes": {"sha256": SHA}}
    return said | (more or {})


class TestProjectDetail:
    def test_keys_of_a_page_and_a_file(self) -> None:
        page = json.loads(page_of(row(WHEEL, {"depends": ["x"], "license": "MIT", "license_family": "MIT"})))
        assert page["name"] == "demo" and page["meta"] == {"api-version": "1.1"}
        (file,) = page["files"]
        assert file.keys() == {"filename", "url", "hashes", "size", "upload-time"}, "nothing private is shown"
        assert file["url"] == WHEEL, "relative, so that a token in the path of the page stays there"
        assert file["hashes"] == {"sha256": SHA}

    @pytest.mark.parametrize("yanked", [True, "broken on Tuesdays"])
    def test_yanked_is_true_or_a_reason(self, yanked: bool | str) -> None:
        assert json.loads(page_of(row(WHEEL, {"yanked": yanked})))["files"][0]["yanked"] == yanked

    def test_the_order_of_rows_does_not_matter(self) -> None:
        rows = [row(f"demo-{number}.0-py3-none-any.whl") for number in range(5)]
        assert page_of(*rows) == page_of(*reversed(rows))


class TestProjectList:
    def test_it_is_assembled_from_the_parts(self) -> None:
        python = PythonFormat()
        parts = [python.render_part([row(f"{name}-1.0-py3-none-any.whl")])[1] for name in ("a", "b")]
        whole = json.loads(b"".join(python.assemble("simple", [parts[0], python.render_part([])[1], parts[1]])))
        assert whole == {"meta": {"api-version": "1.1"}, "projects": [{"name": "a"}, {"name": "b"}]}
        assert json.loads(b"".join(python.assemble("simple", [])))["projects"] == []

    def test_a_large_one_comes_in_pieces(self) -> None:
        objects = [b'{"name":"project-%06d"}' % number for number in range(40_000)]
        pieces = list(PythonFormat().assemble("simple", objects))
        assert len(pieces) > 3 and len(json.loads(b"".join(pieces))["projects"]) == 40_000


class TestUpstreamDetail:
    def test_a_record_keeps_what_the_index_says_of_a_file(self) -> None:
        said = _file(
            more={"size": 5, "requires-python": ">=3", "upload-time": "2024-01-02T03:04:05.678Z", "gpg-sig": True}
        )
        found = parse_project(
            _page(said, more={"meta": {"api-version": "1.1", "_last-serial": 9}}), JSON_TYPE, URL, "DEMO"
        )
        (file,) = found.files
        assert file.url == f"https://files.example.net/{WHEEL}"
        assert file.record == {
            "filename": WHEEL, "name": "demo", "version": "1.0", "build": "py3-none-any", "build_number": 0,
            "hashes": {"sha256": SHA}, "size": 5, "requires-python": ">=3", "upload-time": "2024-01-02T03:04:05.678Z",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "data",
        [
            b"", b"[]", b"{", b'{"name":"demo"}', b"<html>", b"\xff", _page(more={"name": "other"}),
            _page(more={"meta": {"api-version": "2.0"}}),
            b'{"name":"demo","files":[],"meta":{"api-version":2}}', b"[" * 100_000, _page(more={"files": None}),
        ],
    )  # fmt: skip
    def test_a_page_that_cannot_be_used_is_refused(self, data: bytes) -> None:
        with pytest.raises(Malformed):
            parse_project(data, JSON_TYPE, URL, "demo")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"hashes": {}}, {"hashes": None}, {"hashes": {"sha256": "zz" * 32}}, {"hashes": {"md5": "ab" * 16}},
            {"url": None}, {"url": 5}, {"url": "javascript:alert(1)"}, {"url": "file:///etc/passwd"},
            {"url": "https://u:p@h/x.whl"}, {"url": "https://h:99999/x"}, {"url": "https://[::1/x"}, {"url": "http:///x"},
            {"url": "https://h/\u0000"}, {"url": "https://h/a\r\nX: y"}, {"url": "https://h/" + "x" * 5000},
            {"size": -1}, {"size": "5"}, {"size": 2**70}, {"size": True}, {"requires-python": 5},
            {"requires-python": "x" * 20_000}, {"requires-python": "a\u0000"}, {"yanked": 5}, {"yanked": "\u0000"},
            {"upload-time": []}, {"filename": "other-1.0-py3-none-any.whl"}, {"filename": "demo-1.0.whl"},
            {"filename": "../demo-1.0-py3-none-any.whl"}, {"filename": "demo-x-py3-none-any.whl"},
        ],
    )  # fmt: skip
    def test_one_bad_file_is_passed_over_with_its_reason(self, wrong: dict[str, Any]) -> None:
        good = _file("demo-2.0-py3-none-any.whl")
        found = parse_project(_page(_file() | wrong, good), JSON_TYPE, URL, "demo")
        assert [file.filename for file in found.files] == ["demo-2.0-py3-none-any.whl"]
        ((_, reason),) = found.faults
        assert reason.endswith(".") and reason.isprintable()

    def test_other_kinds_of_files_are_counted(self) -> None:
        found = parse_project(_page(_file("demo-1.0.tar.gz"), _file("demo-1.0.egg"), _file()), JSON_TYPE, URL, "demo")
        assert found.unsupported == 2 and len(found.files) == 1 and found.faults == []

    def test_of_a_name_listed_twice_the_first_counts(self) -> None:
        again = _file() | {"hashes": {"sha256": "cd" * 32}}
        found = parse_project(_page(_file(), _file(), again), JSON_TYPE, URL, "demo")
        assert len(found.files) == 1 and found.files[0].record["hashes"]["sha256"] == SHA and len(found.faults) == 1

    def test_the_status_of_a_project(self) -> None:  # PEP 792
        found = parse_project(_page(more={"project-status": {"status": "quarantined"}}), JSON_TYPE, URL, "demo")
        assert found.status == "quarantined" and found.files == []


class TestContentNegotiation:
    @pytest.mark.parametrize(
        ("accept", "given"),
        [
            ("", "text/html"),
            ("*/*", "text/html"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
            (f"{JSON_TYPE}, {HTML_TYPE}; q=0.1, text/html; q=0.01", JSON_TYPE),  # pip
            (f"{JSON_TYPE}, {HTML_TYPE};q=0.2, text/html;q=0.01", JSON_TYPE),  # uv
            (f"{HTML_TYPE};q=0.5, {JSON_TYPE};q=0.4", HTML_TYPE),
            (f"text/html, {JSON_TYPE}", JSON_TYPE),
            ("application/vnd.pypi.simple.latest+json", JSON_TYPE),
            (f"{JSON_TYPE};q=0, text/html;q=0.1", "text/html"),
            ("application/vnd.pypi.simple.v2+json", None),
            ("image/png", None),
            (ACCEPT, JSON_TYPE),
        ],
    )
    def test_the_best_of_what_is_accepted(self, accept: str, given: str | None) -> None:
        assert negotiate(accept) == given
