"""What a Python distribution requires, said as conda says it: PEP 508 requirements to MatchSpecs (CEP 29).

Small on purpose: markers are read with the grammar of PEP 508, URL requirements are not translated.
"""

from __future__ import annotations

import operator
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;()@]*)\)?\s*(?:;(.*))?$", re.DOTALL)
CLAUSE = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([\w.!+*-]+)\s*$")
TOKEN = re.compile(r"""\s*(\(|\)|'[^']*'|"[^"]*"|===|~=|==|!=|<=|>=|<|>|[\w.]+)""")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "===": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~=": operator.ge,
}


def canonical(name: str) -> str:
    """Return the normalised name of a project (PEP 503), which the demo also uses as its conda name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def depends(requires_dist: Iterable[str], python: str | None = None) -> list[str]:
    """Translate the `Requires-Dist` lines whose marker holds here, without extras, into sorted MatchSpecs.

    `python` ("3.12") stands in for the running version in the markers. Raises ValueError for a line, a version
    clause or a marker that is not PEP 508.
    """
    found = set()
    for line in requires_dist:
        match = REQUIREMENT.match(line)
        if not match:
            raise ValueError(f"not a requirement: {line}")
        name, versions, marker = match.groups()
        if not marker or holds(marker, python):
            found.add(f"{canonical(name)} {constraint(versions)}".strip())
    return sorted(found)


def constraint(specifiers: str) -> str:
    """Translate a version specifier set (PEP 440, ">=2,~=2.1") into conda's form (">=2,>=2.1,2.*")."""
    return ",".join(part for clause in specifiers.split(",") if clause.strip() for part in _clause(clause))


def _clause(clause: str) -> list[str]:
    match = CLAUSE.match(clause)
    if not match:
        raise ValueError(f"not a version clause: {clause}")
    op, version = match.groups()
    if op == "~=":  # ~=2.1.3 is >=2.1.3 within 2.1
        return [f">={version}", version.rpartition(".")[0] + ".*"]
    if op == "==" and version.endswith(".*"):
        return [version]
    return [("==" if op == "===" else op) + version]


def holds(marker: str, python: str | None = None) -> bool:
    """Tell whether an environment marker (PEP 508) holds on this machine when no extra is asked for."""
    return _Marker(marker, _environment(python)).value()


def _environment(python: str | None) -> dict[str, str]:
    return {
        "python_version": python or platform.python_version().rpartition(".")[0],
        "python_full_version": f"{python}.0" if python else platform.python_version(),
        "implementation_version": platform.python_version(),
        "implementation_name": sys.implementation.name,
        "platform_python_implementation": platform.python_implementation(),
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_version": platform.version(),
        "extra": "",
    }


class _Marker:
    """A recursive-descent reader: or < and < (comparison | parentheses)."""

    def __init__(self, text: str, environment: dict[str, str]) -> None:
        if TOKEN.sub("", text).strip():
            raise ValueError(f"not a marker: {text}")
        self._tokens = TOKEN.findall(text)
        self._environment = environment
        self._text = text

    def value(self) -> bool:
        result = self._either()
        if self._tokens:
            raise ValueError(f"not a marker: {self._text}")
        return result

    def _either(self) -> bool:
        result = self._both()
        while self._peek() == "or":
            self._take()
            result |= self._both()
        return result

    def _both(self) -> bool:
        result = self._term()
        while self._peek() == "and":
            self._take()
            result &= self._term()
        return result

    def _term(self) -> bool:
        if self._peek() != "(":
            return self._comparison()
        self._take()
        result = self._either()
        if self._take() != ")":
            raise ValueError(f"not a marker: {self._text}")
        return result

    def _comparison(self) -> bool:
        left, op, right = self._take(), self._take(), self._take()
        if op == "not":
            op, right = "not in", self._take()
        a, b = self._operand(left), self._operand(right)
        if op in ("in", "not in"):
            return (a in b) is (op == "in")
        if op not in COMPARISONS:
            raise ValueError(f"not a marker: {self._text}")
        if {left, right} & {"python_version", "python_full_version", "implementation_version"}:
            return COMPARISONS[op](_numbers(a), _numbers(b))
        return COMPARISONS[op](a, b)

    def _operand(self, token: str) -> str:
        if token[:1] in ("'", '"'):
            return token[1:-1]
        if token not in self._environment:
            raise ValueError(f"not a marker: {self._text}")
        return self._environment[token]

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _take(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release of a version without trailing zeros, so that 3.11 equals 3.11.0."""
    numbers = [int(n) for n in re.findall(r"\d+", version.partition("+")[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
