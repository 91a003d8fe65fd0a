"""What selects Python files: `requests>=2,<3`, `requests==2.*`, `acme-*`. Source: PEP 503 and PEP 440."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Any

from packaging.specifiers import SpecifierSet

from packhouse.core.errors import PackhouseError
from packhouse.formats.python.filename import normalise
from packhouse.formats.python.requirements import parse_specifiers
from packhouse.formats.python.versions import VersionKey, ceiling, parse

#: comparisons whose versions stand together; `>` leaves out some that do not
_TOGETHER = (">=", "<=", "==", "<")
#: sorts before every version, and after every text that is none
_FIRST = (True,)
_MAX_SPEC = 2048
_SPEC = re.compile(r"([A-Za-z0-9*?][A-Za-z0-9._*?-]*)\s*(?:\[[A-Za-z0-9._, -]*\])?\s*(.*)", re.DOTALL)


class Spec:
    """A compiled specifier. `name` is the exact normalised name, or None when it names several by a pattern."""

    __slots__ = ("_names", "_versions", "name", "text")

    build = ""  # there is none to ask for

    def __init__(self, text: str, name: str, versions: SpecifierSet | None) -> None:
        self.text = text
        pattern = normalise(name)
        exact = "*" not in pattern and "?" not in pattern
        self.name = pattern if exact else None
        self._names = None if exact else re.compile(translate(pattern))
        self._versions = versions

    @property
    def versions(self) -> str:
        """The version part; empty: any."""
        return "" if self._versions is None else str(self._versions)

    def matches_name(self, name: str) -> bool:
        """Say whether the spec may select files of the project `name`, however it is spelled."""
        plain = normalise(name)
        return plain == self.name if self._names is None else self._names.fullmatch(plain) is not None

    def matches_version(self, version: str) -> bool:
        """Say whether the version part allows `version`, pre-releases like any other; asked once per version."""
        if self._versions is None:
            return True
        parsed = parse(version)
        return parsed is not None and self._versions.contains(parsed, prereleases=True)

    def span(self, keys: Sequence[VersionKey]) -> tuple[int, int] | None:
        """Return where, in versions given by their keys in order, those stand that the version part allows.

        The first, and before which it ends. None when they may not stand together, as with `!=1.2`.
        """
        if self._versions is None:
            return 0, len(keys)
        first, end = bisect_left(keys, _FIRST), len(keys)
        for one in self._versions:
            asked = parse(one.version)
            if asked is None or one.operator not in _TOGETHER or (one.operator == "<" and asked.is_postrelease):
                return None
            if one.operator in (">=", "=="):
                first = max(first, bisect_left(keys, (True, asked)))
            if one.operator in ("<=", "=="):
                end = min(end, bisect_right(keys, (True, ceiling(asked))))
            if one.operator == "<":  # which leaves out the pre-releases of a release
                lowest = asked if asked.is_prerelease else asked.__replace__(dev=0)
                end = min(end, bisect_left(keys, (True, lowest)))
        return min(first, end), end

    def matches(self, name: str, version: str, build: str = "", build_number: int = 0, **_rest: Any) -> bool:
        """Say whether the spec selects a file. Builds play no part: a specifier cannot name them."""
        return self.matches_name(name) and self.matches_version(version)


@lru_cache(maxsize=10_000)
def compile_spec(text: str) -> Spec:
    """Compile a specifier: a name or a pattern with `*` and `?`, and versions as PEP 440 has them.

    Extras are passed over, since a file is the same with and without. PackhouseError("bad_request") for markers, URLs
    and what is none.
    """
    match = _SPEC.fullmatch(text.strip()) if len(text) <= _MAX_SPEC else None
    if match is None:
        raise _not_understood(text)
    name, rest = match[1], match[2].strip()
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    if not rest or rest == "*":
        return Spec(text, name, None)
    versions = parse_specifiers(rest)
    if versions is None:
        raise _not_understood(text)
    return Spec(text, name, versions)


def _not_understood(text: str) -> PackhouseError:
    return PackhouseError(
        "bad_request",
        f"The specifier {text[:120]!r} cannot be understood.",
        "Write it as pip does, for example 'requests>=2,<3', 'requests==2.*' or 'acme-*'.",
    )
