"""Every module says what it is for, and every exception to a rule says why."""

from __future__ import annotations

import ast
import re

from tests.unit.house.sources import PACKAGE, ROOT, sources

_ALL = [*sources(), *sources(ROOT / "tests"), *sources(ROOT / "bench"), *sources(ROOT / "scripts")]
_LINK = re.compile(r"\]\(([^)#\s]+)")
_PAGE = re.compile(r"\b[A-Za-z0-9_-]+\.md\b")
_EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?P<codes>:?\s*[A-Z0-9, ]*|\[[\w, -]+\])(?P<reason>.*)")


def test_every_module_says_what_it_is_for() -> None:
    assert [source.name for source in _ALL if not ast.get_docstring(source.tree)] == []


def test_every_folder_is_a_package_that_says_what_it_is_for() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_documents_cite_only_what_is_in_the_repository() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")]
    names = {page.name for page in pages} | {"RESULTS.md"}  # which benches write
    lost = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in _LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    lost += [f"{source.name}: {cited}" for source in _ALL for cited in _PAGE.findall(source.text) if cited not in names]
    assert lost == []


def test_an_exception_to_a_rule_says_why() -> None:
    silent = [
        f"{source.name}:{number}"
        for source in _ALL
        for number, line in enumerate(source.text.splitlines(), 1)
        if (found := _EXCEPTION.search(line)) and len(found["reason"].strip(" #-:")) < 4
    ]
    assert silent == [], "write the reason behind it: `# noqa: S311 - spreads load, guards nothing`"
