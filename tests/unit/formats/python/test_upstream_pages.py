"""Whatever an upstream sends is read or refused; never is there another error, nor does it take long."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.base import Malformed
from packhouse.formats.python.filename import parse_wheel_filename
from packhouse.formats.python.htmlpage import tags
from packhouse.formats.python.pages import JSON_TYPE
from packhouse.formats.python.upstream import PAGE_LIMIT, parse_project
from tests.kit.simple import URL

_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("ab" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_KEYS = ["filename", "url", "hashes", "size", "requires-python", "yanked", "core-metadata", "upload-time"]
_FILE = st.fixed_dictionaries(
    {
        "filename": st.sampled_from(["demo-1.0-py3-none-any.whl", "demo-2-py3-none-any.whl"]) | _VALUE,
        "hashes": st.just({"sha256": "ab" * 32}) | _VALUE,
        "url": st.sampled_from(["x.whl", "//h/x.whl", "http://["]) | _VALUE,
    },
    optional=dict.fromkeys(_KEYS[3:], _VALUE),
)
_HTML = st.lists(
    st.sampled_from(
        ["<a", " href=", '"', "'", "demo-1.0-py3-none-any.whl", "#sha256=" + "ab" * 32, ">", "</a>", "<!--", "-->", "=",
         "<base", "<meta name=pypi:repository-version content=1.0>", "&gt;", "\0", "/", "http://[", " data-yanked"]
    )
    | st.text(max_size=3),
    max_size=40,
).map("".join)  # fmt: skip


@given(st.lists(_FILE | _VALUE, max_size=5))
def test_json_pages(files: list[object]) -> None:
    data = json.dumps({"name": "demo", "files": files, "meta": {"api-version": "1.0"}}).encode()
    try:
        found = parse_project(data, JSON_TYPE, URL, "demo")
    except Malformed:
        return
    assert len(found.files) + found.unsupported + len(found.faults) <= len(files)
    for file in found.files:
        assert parse_wheel_filename(file.filename).name == "demo"
        assert file.url.startswith(("http://", "https://")) and len(file.record["hashes"]["sha256"]) == 64


@given(_HTML)
def test_html_pages(text: str) -> None:
    for file in parse_project(text.encode(), "text/html", URL, "demo").files:
        assert file.url.startswith(("http://", "https://")) and file.url.isprintable()


@given(st.binary(max_size=60))
def test_bytes(data: bytes) -> None:
    for media_type in (JSON_TYPE, "text/html", ""):
        try:
            parse_project(data, media_type, URL, "demo")
        except Malformed as refused:
            assert str(refused).isprintable()


@pytest.mark.parametrize("piece", ["<a", "<a ", "<a x", '<a "', "<!--", "<a x=", "<a x='", "<", "<a/", "<a b c d "])
def test_a_page_made_to_take_long_does_not(piece: str) -> None:
    started = time.process_time()
    sum(1 for _ in tags(piece * (2**20 // len(piece))))
    assert time.process_time() - started < 3


def test_a_page_that_is_too_large_is_not_even_parsed() -> None:
    with pytest.raises(Malformed, match="at most"):
        parse_project(bytes(PAGE_LIMIT + 1), JSON_TYPE, URL, "demo")
