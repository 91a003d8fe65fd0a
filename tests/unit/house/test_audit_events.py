"""Every event that is written is in the audit vocabulary, and every word of that is written somewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from packhouse.catalog.audit.types import EVENTS
from tests.unit.house.sources import Source, aliases, sources

_RECORD = "packhouse.catalog.audit.store.record_event"
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Teller(NamedTuple):
    """Which parameter of a function is the type of the event that it writes."""

    parameter: str
    position: int  #: among the arguments of a call; -1: it is only given by name


class _Reading:
    """What all sources say about events: the functions that write one, and the types they are called with."""

    def __init__(self) -> None:
        self.tellers: dict[str, Teller] = {_RECORD: Teller("type", -1)}
        self.types: set[str] = set()
        self.unclear: set[str] = set()

    def read(self) -> None:
        """Read until no further function is found that hands an event's type on."""
        before = -1
        while before != len(self.tellers):
            before = len(self.tellers)
            self.types, self.unclear = set(), set()
            for source in sources():
                self._read(source)

    def _read(self, source: Source) -> None:
        known = dict(aliases(source.tree))
        module = source.name.removeprefix("src/").removesuffix(".py").replace("/", ".")
        for call, around in _calls(source.tree, ()):
            if (teller := self.tellers.get(_target(call, module, known))) is None:
                continue
            given = _argument(call, teller)
            if given is None or not self._take(given, around, module):
                self.unclear.add(f"{source.name}:{call.lineno}")

    def _take(self, given: ast.expr, around: tuple[_Function, ...], module: str) -> bool:
        """Take in the words an expression can be; False when that cannot be told."""
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            self.types.add(given.value)
            return True
        if isinstance(given, ast.IfExp):
            return self._take(given.body, around, module) and self._take(given.orelse, around, module)
        if not isinstance(given, ast.Name):
            return False
        for function in reversed(around):
            arguments = [one.arg for one in function.args.args]
            if given.id in arguments:
                method = arguments[0] == "self"
                name = f".{function.name}" if method else f"{module}.{function.name}"
                self.tellers[name] = Teller(given.id, arguments.index(given.id) - method)
                return True
            if values := list(_assigned(function, given.id)):
                return all(self._take(value, around, module) for value in values)
        return False


def _calls(node: ast.AST, around: tuple[_Function, ...]) -> Iterator[tuple[ast.Call, tuple[_Function, ...]]]:
    if isinstance(node, ast.Call):
        yield node, around
    inner = (*around, node) if isinstance(node, _Function) else around
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, inner)


def _target(call: ast.Call, module: str, known: dict[str, str]) -> str:
    if isinstance(call.func, ast.Name):
        return known.get(call.func.id, f"{module}.{call.func.id}")
    if isinstance(call.func, ast.Attribute):
        if isinstance(call.func.value, ast.Name) and call.func.value.id in known:
            return f"{known[call.func.value.id]}.{call.func.attr}"
        return f".{call.func.attr}"
    return ""


def _argument(call: ast.Call, teller: Teller) -> ast.expr | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg == teller.parameter]
    return named[0] if named else call.args[teller.position] if 0 <= teller.position < len(call.args) else None


def _assigned(function: _Function, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            yield node.value


def test_what_is_written_and_what_is_listed_are_the_same() -> None:
    reading = _Reading()
    reading.read()
    assert reading.unclear == set(), "write the type of the event as a word, or hand it on as a parameter"
    assert reading.types - EVENTS.keys() == set(), "add a line for it to catalog/audit/types.py"
    assert EVENTS.keys() - reading.types == set(), "no such event is written any more"
    assert len(reading.types) > 50
    assert list(EVENTS) == sorted(EVENTS)
