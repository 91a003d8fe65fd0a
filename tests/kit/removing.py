"""Takes single calls out of the running program, to see whether anybody notices.

A call is taken out by giving its function other code, in which something takes the place of what is called that does
nothing and returns what nothing would: no file hidden, nothing judged, nothing changed. Whoever holds the function,
under whatever name, gets the other code.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import numpy as np

import packhouse
from packhouse.security.policies.decide import SEEN, Decisions
from packhouse.security.policies.waivers import Lifted

SOURCE = Path(packhouse.__file__).parent
_STAND_IN = "__nothing__"


class Site(NamedTuple):
    """A call: the `number`-th one of `callee` in a function, named as `module.path:Class.function`."""

    function: str
    callee: str
    number: int

    def __str__(self) -> str:
        return f"{self.function.removeprefix('packhouse.')} → {self.callee}" + f" #{self.number}" * (self.number > 0)


def _all_seen(batch: Any, context: Any, policy: Any, now: int) -> Decisions:
    return Decisions(batch, context, policy, now, np.full(len(batch), SEEN, np.int8))


def _none_lifted(*_: Any) -> Lifted:
    return Lifted(*(np.zeros(0, np.int64) for _ in Lifted.__struct_fields__))


def _later(value: Callable[[], Any]) -> Callable[..., Any]:
    async def nothing(*_: Any, **__: Any) -> Any:
        return value()

    return nothing


#: what is called → what stands in its place
WATCHED: dict[str, Callable[..., Any]] = {
    "decide": _all_seen,
    "lifted": _none_lifted,
    "hidden_by": lambda batch, *_: [None] * len(batch),
    "wanted_reasons": lambda *_: {},
    "write_verdicts": _later(dict),
    "write_reasons": _later(set),
    "judge_reasons": _later(set),
    "judge_arrivals": _later(lambda: None),
    "judge_departures": _later(lambda: None),
    "judge_whole": _later(set),
    "judge_waiting": _later(lambda: 0),
    "prepare_rulesets": _later(lambda: None),
    "prepare_again": _later(lambda: None),
    "show_anew": _later(lambda: None),
}


def sites() -> Iterator[Site]:
    """Yield every call of what is watched, but for the `decide` of people's statements."""
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(("packhouse", *path.relative_to(SOURCE).with_suffix("").parts))
        tree = ast.parse(path.read_bytes())
        if any(isinstance(one, ast.ImportFrom) and "curation" in (one.module or "") for one in tree.body):
            continue
        for name, function in _functions(tree.body, ""):
            counts: dict[str, int] = {}
            for call in _calls(function):
                callee = _callee(call)
                if callee in WATCHED and f"{module}:{name}" != "packhouse.workflows.curating.curation:change":
                    yield Site(f"{module}:{name}", callee, counts.get(callee, 0))
                    counts[callee] = counts.get(callee, 0) + 1


@contextmanager
def removed(site: Site) -> Iterator[None]:
    """Run a block without a call."""
    module_name, _, name = site.function.partition(":")
    module = importlib.import_module(module_name)
    function: Any = module
    for part in name.split("."):
        function = inspect.getattr_static(function, part)
    assert isinstance(function, FunctionType), function
    code = _without(Path(inspect.getfile(module)), name, site)
    before = function.__code__
    function.__globals__[_STAND_IN] = WATCHED[site.callee]
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before
        del function.__globals__[_STAND_IN]


def _without(path: Path, name: str, site: Site) -> CodeType:
    tree = ast.parse(path.read_bytes())
    function = dict(_functions(tree.body, ""))[name]
    call = [one for one in _calls(function) if _callee(one) == site.callee][site.number]
    call.func = ast.copy_location(ast.Name(_STAND_IN, ast.Load()), call.func)
    found = compile(tree, str(path), "exec")
    for part in name.split("."):
        found = next(one for one in found.co_consts if isinstance(one, CodeType) and one.co_name == part)
    return found


def _functions(body: Sequence[ast.stmt], within: str) -> Iterator[tuple[str, ast.AST]]:
    for one in body:
        if isinstance(one, ast.ClassDef):
            yield from _functions(one.body, f"{within}{one.name}.")
        elif isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield within + one.name, one


def _calls(function: ast.AST) -> list[ast.Call]:
    found = [one for one in ast.walk(function) if isinstance(one, ast.Call)]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def _callee(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""
