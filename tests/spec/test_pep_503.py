"""PEP 503: the simple repository as HTML."""

from __future__ import annotations

import pytest

from packhouse.formats.base import Malformed
from packhouse.formats.python.filename import is_name, normalise
from packhouse.formats.python.htmlpage import tags
from packhouse.formats.python.pages import list_html, project_html
from packhouse.formats.python.upstream import page_address, parse_project
from tests.kit.simple import URL, page_of, row

HTML = "text/html; charset=utf-8"
SHA = "ab" * 32


class TestNormalizedNames:
    @pytest.mark.parametrize("name", ["friendly-bard", "Friendly-Bard", "friendly.bard", "FRIENDLY_._-bard"])
    def test_spellings_are_one_name(self, name: str) -> None:
        assert normalise(name) == "friendly-bard" and is_name(name)

    @pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a/b", "caf\u00e9", "\u212aelvin", "a" * 200, "a\n"])
    def test_others_are_none(self, name: str) -> None:
        assert not is_name(name)


class TestTheProjectList:
    def test_an_anchor_for_each_project_whose_address_ends_in_a_slash(self) -> None:
        found = list(tags(list_html(["a", "b-c"]).decode()))
        assert [tag.attributes["href"] for tag in found if tag and tag.name == "a"] == ["a/", "b-c/"]


class TestTheProjectPage:
    def test_an_anchor_for_each_file_with_its_hash(self) -> None:
        found = [tag for tag in tags(project_html(page_of(row("demo-1.0-py3-none-any.whl"))).decode()) if tag]
        (link,) = [tag.attributes["href"] for tag in found if tag.name == "a"]
        assert link == f"demo-1.0-py3-none-any.whl#sha256={SHA}"

    def test_requires_python_is_escaped(self) -> None:
        html = project_html(page_of(row("demo-1.0-py3-none-any.whl", {"requires-python": '>=3.9,<"4'})))
        assert b'data-requires-python="&gt;=3.9,&lt;&quot;4"' in html

    def test_an_address_is_relative_and_encoded(self) -> None:
        assert b'href="demo-1.0%2Bcu118-py3-none-any.whl#' in project_html(
            page_of(row("demo-1.0+cu118-py3-none-any.whl"))
        )


class TestAnUpstreamPage:
    def test_relative_absolute_and_foreign_addresses_are_resolved(self) -> None:
        html = "".join(
            f'<a href="{href}#sha256={SHA}">x</a>'
            for href in (
                "demo-1.0-py3-none-any.whl",
                "/files/demo-1.1-py3-none-any.whl",
                "../../f/demo-1.2-py3-none-any.whl",
                "https://files.example.net/demo-1.3-py3-none-any.whl",
            )
        )
        found = parse_project(html.encode(), HTML, URL, "demo")
        assert [file.url for file in found.files] == [
            "https://index.example.org/simple/demo/demo-1.0-py3-none-any.whl",
            "https://index.example.org/files/demo-1.1-py3-none-any.whl",
            "https://index.example.org/f/demo-1.2-py3-none-any.whl",
            "https://files.example.net/demo-1.3-py3-none-any.whl",
        ]
        assert not any("//" in str(file.record) for file in found.files), "no address gets into a record"

    def test_a_base_element_counts(self) -> None:
        html = f'<base href="https://cdn.example.net/x/"><a href="demo-1.0-py3-none-any.whl#sha256={SHA}">x</a>'
        (file,) = parse_project(html.encode(), HTML, URL, "demo").files
        assert file.url == "https://cdn.example.net/x/demo-1.0-py3-none-any.whl"

    def test_a_file_without_a_sha256_is_passed_over(self) -> None:
        html = b'<a href="demo-1.0-py3-none-any.whl">x</a><a href="demo-1.1-py3-none-any.whl#md5=' + b"ab" * 16 + b'">'
        found = parse_project(html, HTML, URL, "demo")
        assert found.files == [] and len(found.faults) == 2 and "SHA-256" in found.faults[0][1]

    def test_what_we_render_reads_back_as_it_was(self) -> None:
        one = row(
            "demo-1.0-py3-none-any.whl",
            {"requires-python": ">=3.9 , <4", "yanked": 'bad "<>&', "core-metadata": {"sha256": SHA}},
        )
        (file,) = parse_project(project_html(page_of(one)), HTML, URL, "Demo").files
        assert file.record["requires-python"] == ">=3.9 , <4" and file.record["yanked"] == 'bad "<>&'
        assert file.record["core-metadata"] == {"sha256": SHA} and file.record["hashes"] == {"sha256": SHA}

    def test_quirks_of_html(self) -> None:
        html = f"""<!-- <a href="demo-0.1-py3-none-any.whl#sha256={SHA}"> -->
        <A class=x  HREF = 'demo-1.0-py3-none-any.whl#sha256={SHA}' data-requires-python=">3">x</A>
        <a data-yanked href=demo-1.1-py3-none-any.whl#sha256={SHA}>y</a><abbr href="x"><a "broken>"""
        found = parse_project(html.encode(), HTML, URL, "demo")
        assert [file.record["version"] for file in found.files] == ["1.0", "1.1"]
        assert [file.record.get("yanked") for file in found.files] == [None, True]
        assert found.faults == [("", "A link of the page cannot be read.")]

    def test_addresses(self) -> None:
        assert page_address("Foo_Bar") == "foo-bar/"


class TestRepositoryVersion:  # PEP 629
    def test_ours_says_it(self) -> None:
        page = project_html(page_of(row("demo-1.0-py3-none-any.whl")))
        assert b'<meta name="pypi:repository-version" content="1.1">' in page

    def test_another_major_version_is_refused(self) -> None:
        with pytest.raises(Malformed, match=r"2\.0"):
            parse_project(b'<meta name="pypi:repository-version" content="2.0">', HTML, URL, "demo")
