"""What bodies and answers and their members mean, for the OpenAPI document: docstrings, and the `#:` comments beside
fields.

A comment is read from the source of its structure, so that it is written once, where the next editor sees it. Without
sources (an installation of byte code alone) nothing is said.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from textwrap import dedent
from typing import Any

import msgspec

_MARK = "#:"


def with_meanings(schemas: dict[str, Any]) -> None:
    """Give members of schemas, in place, the descriptions that stand in the code."""
    for name, schema in schemas.items():
        members = schema.get("properties", {})
        about, meanings = _meanings(name, frozenset(members))
        if about:
            schema.setdefault("description", about)
        for member, text in meanings.items():
            members[member].setdefault("description", text)


@cache
def _meanings(name: str, members: frozenset[str]) -> tuple[str, dict[str, str]]:
    """Return the docstring of the structure a schema was made of, and member → meaning.

    It is the one of that name with just these members; a schema whose name is not unique begins with the module's.
    """
    for structure in _below(msgspec.Struct):
        if structure.__name__ == name.rpartition("_")[2] and members == {*structure.__struct_encode_fields__}:
            return inspect.cleandoc(structure.__dict__.get("__doc__") or ""), _of_class(structure)
    return "", {}


def _below(base: Any) -> Iterator[Any]:
    for structure in base.__subclasses__():
        if structure.__module__.startswith("packhouse."):
            yield structure
        yield from _below(structure)


def _of_class(structure: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for cls in reversed(structure.__mro__):
        if cls.__module__.startswith("packhouse."):
            found |= _of_source(cls)
    return found


def _of_source(cls: type) -> dict[str, str]:
    """Return field → comment of one class: what stands behind a field, or in lines of its own before it."""
    try:
        source = dedent(inspect.getsource(cls))
    except OSError:
        return {}
    lines, body = source.splitlines(), ast.parse(source).body[0]
    found: dict[str, str] = {}
    for field in ast.walk(body):
        match field:
            case ast.AnnAssign(target=ast.Name(id=name)) if text := _beside(lines, field):
                found[name] = text
    return found


def _beside(lines: list[str], field: ast.AnnAssign) -> str:
    last = lines[(field.end_lineno or field.lineno) - 1].encode()[field.end_col_offset or 0 :].decode()
    if _MARK in last:
        return last.partition(_MARK)[2].strip()
    before: list[str] = []
    for line in reversed(lines[: field.lineno - 1]):
        if not line.strip().startswith(_MARK):
            break
        before.insert(0, line.strip().removeprefix(_MARK).strip())
    return " ".join(before)
