"""Every module says what it is for, and every exception to a rule says why."""

from __future__ import annotations

import ast
import re

from tests.unit.house.sources import PACKAGE, ROOT, sources

_ALL = [*sources(), *sources(ROOT / "tests"), *sources(ROOT / "bench"), *sources(ROOT / "scripts")]
_EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?P<codes>:?\s*[A-Z0-9, ]*|\[[\w, -]+\])(?P<reason>.*)")


def test_every_module_says_what_it_is_for() -> None:
    assert [source.name for source in _ALL if not ast.get_docstring(source.tree)] == []


def test_every_folder_is_a_package_that_says_what_it_is_for() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_an_exception_to_a_rule_says_why() -> None:
    silent = [
        f"{source.name}:{number}"
        for source in _ALL
        for number, line in enumerate(source.text.splitlines(), 1)
        if (found := _EXCEPTION.search(line)) and len(found["reason"].strip(" #-:")) < 4
    ]
    assert silent == [], "write the reason behind it: `# noqa: S311 - spreads load, guards nothing`"
