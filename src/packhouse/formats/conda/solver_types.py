"""Versions and match specs with the meaning conda's clients give them: the one place that talks to py-rattler.

A MatchSpec is compiled into name, version set and build pattern, since asking a version set about a distinct version
costs a thirtieth of building a record for every file. What is left over goes to rattler whole. Source: CEP 29, CEP 33.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from rattler import MatchSpec, PackageRecord, Version, VersionSpec
from rattler.exceptions import (
    CanonicalMatchSpecError,
    InvalidMatchSpecError,
    InvalidPackageNameError,
    InvalidVersionError,
    InvalidVersionSpecError,
    PackageNameMatcherParseError,
)
from rattler.package.build_string import BuildString

from packhouse.core.errors import PackhouseError
from packhouse.formats.base import Malformed

#: sorts as `(parses, Version or text)`: versions that do not parse come before all that do, by their text
VersionKey = tuple[bool, Any]

_NUMBER = re.compile(r"(==|!=|>=|<=|=|>|<)?\s*(\d{1,18})")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": int.__eq__, "=": int.__eq__, "!=": int.__ne__,
    ">=": int.__ge__, "<=": int.__le__, ">": int.__gt__, "<": int.__lt__,
}  # fmt: skip
#: a condition on the version that selects versions which stand together in their order; `1_` and `1-` do not, which
#: have one place in it but are not equal
_COMPARISON = re.compile(r"(>=|<=|==|>|<)([^<>=!~*|,()\s]*[^<>=!~*|,()\s_-])")
#: sorts before every version, and after every text that is none
_FIRST = (True,)
_MAX_SPEC = 2048
_PURL = re.compile(
    r"pkg:/*[A-Za-z][A-Za-z0-9.+-]*/[^@?#]*[^@?#/](@[^?#]*)?"
    r"(\?[A-Za-z0-9._-]+=[^&#]*(&[A-Za-z0-9._-]+=[^&#]*)*)?(#.*)?"
)
_NO_SPEC = (CanonicalMatchSpecError, InvalidMatchSpecError, InvalidVersionSpecError, PackageNameMatcherParseError)


@lru_cache(maxsize=100_000)
def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersionError:
        return None


def check_parses(version: str) -> None:
    """Malformed unless conda's clients can read `version` (CEP 33)."""
    if _parsed(version) is None:
        raise Malformed(f"The version {version!r} is not one that conda's clients can read and compare.")


def check_spec(text: str) -> None:
    """Malformed unless conda's clients can read `text` as what a package depends on, which names one package."""
    try:
        MatchSpec(text)
    except _NO_SPEC as error:
        raise Malformed(f"{text[:80]!r} is no match spec that conda's clients can read: {error}.") from error


@lru_cache(maxsize=100_000)
def check_purl(purl: str) -> None:
    """Malformed unless conda's clients can read `purl` as a package URL (ECMA-427)."""
    try:
        valid = _PURL.fullmatch(purl) and unquote_to_bytes(purl).decode()
    except UnicodeError:
        valid = None
    if not valid:
        raise Malformed(f"{purl[:80]!r} is no package URL (purl) that conda's clients can read.")


def version_key(version: str) -> VersionKey:
    """Return a sort key: newer versions are greater; texts that are no version sort first."""
    parsed = _parsed(version)
    return (True, parsed) if parsed is not None else (False, version)


def newest_key(version: str, build_number: int) -> tuple[VersionKey, int]:
    """Return a sort key for builds: by version, then by build number."""
    return version_key(version), build_number


def dependency_name(dep: str) -> str:
    """Return the package name a dependency asks for, in lower case; "" when there is none to see.

    Takes what stands in real records: `numpy >=1.2,<2`, `conda-forge::numpy`, `numpy[version=">=1"]`, `numpy>=1`.
    """
    head = dep.split("[", 1)[0].strip()
    if ":" in head:
        head = head.rpartition(":")[2].strip()
    match = _DEPENDENCY.match(head)
    return match.group().lower() if match else ""


_DEPENDENCY = re.compile(r"[A-Za-z0-9_.-]+")


class Spec:
    """A compiled match spec. `name` is the exact package name, or None when the spec names several by a pattern."""

    __slots__ = ("_build", "_name_spec", "_number", "_subdir", "_version", "_whole", "build", "name", "text")

    def __init__(self, text: str, spec: MatchSpec) -> None:
        self.text = text
        exact = spec.name.as_package_name()
        self.name = exact.normalized if exact is not None else None
        self._name_spec = None if exact is not None else _name_only(spec)
        self._version = None if spec.version in (None, "*") else VersionSpec(str(spec.version))
        self.build = spec.build or ""  #: the pattern of its build part; empty: any
        self._build = _build_test(spec.build)
        self._number = _number_test(spec.build_number)
        self._subdir = spec.subdir
        self._whole = None if self._build and self._number and not _has_more(spec) else spec

    @property
    def versions(self) -> str:
        """The version part as rattler understood it; empty: any."""
        return "" if self._version is None else str(self._version)

    def matches_name(self, name: str) -> bool:
        """Say whether the spec may select files of the package `name`."""
        if self._name_spec is None:
            return name == self.name
        return _ask(self._name_spec, name, "0", "", 0, {})

    def matches_version(self, version: str) -> bool:
        """Say whether the version part allows `version`: asked once for all files of that version."""
        if self._version is None:
            return True
        parsed = _parsed(version)
        return parsed is not None and self._version.matches(parsed)

    def span(self, keys: Sequence[VersionKey]) -> tuple[int, int] | None:
        """Return where, in versions given by their keys in order, those stand that the version part allows.

        The first, and before which it ends. None when they may not stand together, as with `!=1.2`.
        """
        if self._version is None:
            return 0, len(keys)
        first, end = bisect_left(keys, _FIRST), len(keys)
        for part in self.versions.split(","):
            compared = _COMPARISON.fullmatch(part)
            if compared is None:
                return None
            key = version_key(compared[2])
            after = bisect_right(keys, key) if compared[1] in (">", "<=", "==") else bisect_left(keys, key)
            if compared[1] in (">", ">="):
                first = max(first, after)
            else:
                end = min(end, after)
            if compared[1] == "==":
                first = max(first, bisect_left(keys, key))
        return min(first, end), end

    def matches(self, name: str, version: str, build: str, build_number: int, **rest: Any) -> bool:
        """Say whether the spec selects a file, as `MatchSpec.matches` of rattler does.

        `rest` may hold `subdir`, `license` (texts), `md5` and `sha256` (lower-case hex), for specs that ask for them.
        rattler leaves the subdir to whoever picks the index, so it is compared here, where the caller says it.
        """
        if self._subdir and rest.get("subdir") and rest["subdir"] != self._subdir:
            return False
        if not (self.matches_name(name) and self.matches_version(version)):
            return False
        if self._whole is not None:
            return _ask(self._whole, name, version, build, build_number, rest)
        return (
            self._build is not None and self._number is not None and self._build(build) and self._number(build_number)
        )


def compile_spec(text: str) -> Spec:
    """Compile a match spec. PackhouseError("bad_request") with rattler's reason when it is none."""
    try:
        if len(text) > _MAX_SPEC or "\0" in text:
            raise InvalidMatchSpecError(f"longer than {_MAX_SPEC} characters, or not text")
        return Spec(text, MatchSpec(text, exact_names_only=False))
    except _NO_SPEC as error:
        raise PackhouseError(
            "bad_request",
            f"The match spec {text[:120]!r} cannot be understood: {error}.",
            "Write it as conda does, for example 'numpy >=1.26,<2' or 'python 3.12.* *_cpython'.",
        ) from error


def _name_only(spec: MatchSpec) -> MatchSpec:
    return MatchSpec(spec.name.normalized, exact_names_only=False)


def _has_more(spec: MatchSpec) -> bool:
    """Say whether the spec asks for more than name, version, build and build number."""
    parts = {"version": spec.version, "build": spec.build, "build_number": spec.build_number}
    asked = ",".join(f'{key}="{value}"' for key, value in parts.items() if value is not None)
    bare = MatchSpec(spec.name.normalized + (f"[{asked}]" if asked else ""), exact_names_only=False)
    return bare.to_canonical_string() != spec.to_canonical_string()


def _build_test(pattern: str | None) -> Callable[[str], bool] | None:
    """Return the test for a build pattern, or None when only rattler can tell. Capitals do not count."""
    if pattern is None or pattern == "*":
        return lambda build: True
    if pattern.startswith("^") or not pattern.isascii() or any(mark in pattern for mark in "?[]$"):
        return None
    start, star, end = pattern.lower().partition("*")
    if not star:
        return lambda build: build.lower() == start
    if "*" in end:
        return None
    length = len(start) + len(end)
    return lambda build: len(build) >= length and build.lower().startswith(start) and build.lower().endswith(end)


def _number_test(asked: str | None) -> Callable[[int], bool] | None:
    if asked is None:
        return lambda number: True
    match = _NUMBER.fullmatch(asked)
    if match is None:
        return None
    compare, wanted = _COMPARE[match[1] or "=="], int(match[2])
    return lambda number: compare(number, wanted)


def _ask(spec: MatchSpec, name: str, version: str, build: str, number: int, rest: dict[str, Any]) -> bool:
    """Ask rattler itself, about a record that it must be able to hold."""
    try:
        record = PackageRecord(
            name,
            version,
            BuildString.new_unchecked(build),
            number,
            rest.get("subdir") or "noarch",
            md5=bytes.fromhex(rest.get("md5") or "") or None,
            sha256=bytes.fromhex(rest.get("sha256") or "") or None,
            license=rest.get("license"),
        )
    except (InvalidVersionError, InvalidPackageNameError, ValueError, OverflowError):
        return False
    return spec.matches(record)
