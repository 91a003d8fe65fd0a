"""The project's Python files, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "packhouse"


class Source(NamedTuple):
    """One file: its name from the project's root, its text and its syntax tree."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How long the file is."""
        return self.text.count("\n")


class Use(NamedTuple):
    """A place where a name from elsewhere is used, with aliases resolved: `datetime.datetime.now`."""

    line: int
    name: str


@cache
def sources(folder: Path = PACKAGE) -> tuple[Source, ...]:
    """Return every Python file below `folder`, but for migrations, which are written by Alembic."""
    paths = (path for path in sorted(folder.rglob("*.py")) if "migrations" not in path.parts)
    return tuple(_parse(path) for path in paths)


def _parse(path: Path) -> Source:
    text = path.read_text()
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def functions(source: Source) -> Iterator[tuple[str, int]]:
    """Yield (name, lines without docstring) of every function and method."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            said = first.end_lineno or 0 if ast.get_docstring(node) else node.lineno
            start = node.lineno + (said - first.lineno + 1 if ast.get_docstring(node) else 0)
            yield node.name, (node.end_lineno or 0) - start + 1


def imported(source: Source) -> set[str]:
    """Return the dotted names of everything the file imports, wherever in it."""
    return {name for _, name in aliases(source.tree)}


def uses(source: Source) -> Iterator[Use]:
    """Yield every imported name and attribute of one that the file uses."""
    known = dict(aliases(source.tree))
    for node in ast.walk(source.tree):
        dotted = _dotted(node)
        head, _, rest = dotted.partition(".")
        if head in known:
            yield Use(getattr(node, "lineno", 0), f"{known[head]}.{rest}".rstrip("."))


def aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that an import makes known in a file, and what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname or alias.name.partition(".")[0]), alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := _dotted(node.value)):
        return f"{inner}.{node.attr}"
    return ""
