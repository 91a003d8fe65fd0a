"""Selections of files by name or match spec, in the words of each format, asked about a million files at once.

A spec may carry a family, `python:requests >=2`; without one it is for every family whose format can read it. Each
format reads names by its own normalisation.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from packhouse.core.errors import PackhouseError
from packhouse.core.stopping import checkpoint
from packhouse.formats import registry
from packhouse.formats.selection import fault_of
from packhouse.security.policies.batch import Batch, Bools, Ints

_FAMILY = re.compile(r"([A-Za-z][A-Za-z0-9_]*):(?!:)\s*")  # `conda-forge::numpy` is a spec of conda
_BARE = re.compile(r"[\w.*-]+")
_VERSION = r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*(?:\.?\*)?"
#: a name and conditions on the version, and nothing else: no build, no brackets. No character of a version joins
#: conditions, else a long row of them could be read in so many ways that to refuse it would take for ever
_VERSION_ONLY = re.compile(rf"[\w.*-]+(?: *(?:[<>!~]=?|==?)| +(?=\d)){_VERSION}(?:[,|](?:[<>!~]=?|==?)?{_VERSION})*")
_FILL = re.compile(r"[-_.]+")
#: what stands in specs of a name, versions and a build; others may be about the channel, the subdir or the licence
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _.+!*-<>=~,|")


class Matcher(Protocol):
    """A compiled spec, as formats make them."""

    text: str
    name: str | None  #: the one package it is about, normalised; None for a pattern
    build: str  #: its build part; empty: any

    @property
    def versions(self) -> str:
        """Its version part; empty: any."""

    def matches_name(self, name: str) -> bool:
        """Say whether it may select files of a package."""

    def matches_version(self, version: str) -> bool:
        """Say whether its version part allows a version."""

    def span(self, keys: Sequence[Any]) -> tuple[int, int] | None:
        """Return where those versions stand that its version part allows: the first, and before which it ends.

        `keys` are sort keys of versions, sorted. None: they may not stand together.
        """

    def matches(self, name: str, version: str, build: str, build_number: int, **rest: Any) -> bool:
        """Say whether it selects a file."""


class _Compiled(NamedTuple):
    """The specs for one family."""

    by_name: dict[str, list[Matcher]]
    patterns: list[Matcher]


def split_family(text: str) -> tuple[str | None, str]:
    """Return the family a rule names, if any, and the rest of it."""
    found = _FAMILY.match(text)
    return (found[1].lower(), text[found.end() :]) if found else (None, text)


@lru_cache(maxsize=20_000)
def compile_for(family: str, text: str) -> Matcher | None:
    """Compile a rule for files of a family; None when it is not for them, or their format cannot read it."""
    said, spec = split_family(text)
    if said not in (None, family):
        return None
    try:
        matcher: Matcher = registry.get(family).matcher(spec.strip())
    except PackhouseError:
        return None
    return matcher


def check_spec(text: str) -> None:
    """PackhouseError("bad_request") unless some format can read the rule, or the one it names does."""
    said, spec = split_family(text)
    if said is not None and said not in registry.FORMATS:
        known = ", ".join(registry.FORMATS)
        raise PackhouseError("bad_request", f"{text[:80]!r} names no package family.", f"Known are: {known}.")
    if not spec.strip():
        raise PackhouseError(
            "bad_request", "A name is empty.", "Write a name or a spec, for example numpy or numpy <2."
        )
    families = [said] if said else list(registry.FORMATS)
    if not any(compile_for(family, text) for family in families):
        registry.get(families[0]).matcher(spec)


def check_possible(text: str) -> None:
    """PackhouseError("bad_request") for a rule that selects no file there could be, such as `numpy 1.0 0 junk`."""
    said, _ = split_family(text)
    compiled = [compile_for(family, text) for family in ([said] if said else registry.FORMATS)]
    faults = [fault_of(one) for one in compiled if one is not None]
    if faults and all(faults):
        raise PackhouseError("bad_request", f"{text[:80]!r} {faults[0]}.", "Write for example numpy >=1.26,<2 py312_*.")


def most_alike(texts: Iterable[str]) -> tuple[str, int]:
    """Return which package, or `*` for patterns of names, most specs with more than a name are about, and how many."""
    counted: Counter[str] = Counter()
    for text in texts:
        said, _ = split_family(text)
        compiled = [compile_for(family, text) for family in ([said] if said else registry.FORMATS)]
        counted.update({one.name or "*" for one in compiled if one is not None and not is_bare(one)})
    return counted.most_common(1)[0] if counted else ("", 0)


class Specs:
    """A set of specs. Raises PackhouseError("bad_request") for one that no format can read."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        for text in self.texts:
            check_spec(text)
        self._families: dict[str, _Compiled] = {}

    def __bool__(self) -> bool:
        """Whether there is any spec."""
        return bool(self.texts)

    def about(self, family: str, name: str) -> list[Matcher]:
        """Return the specs that may select files of a package."""
        compiled = self._compiled(family)
        return [*compiled.by_name.get(name, ()), *(one for one in compiled.patterns if one.matches_name(name))]

    def select(self, batch: Batch) -> Bools:
        """Return which files at least one spec selects."""
        whole = np.zeros(len(batch.name.values), np.bool_)
        partly: dict[int, list[Matcher]] = {}
        for number, specs in self._by_number(batch).items():
            if any(is_bare(spec) for spec in specs):
                whole[number] = True
            else:
                partly[number] = specs
        selected = whole[batch.name.codes]
        if partly:
            asked = np.zeros(len(batch.name.values), np.bool_)
            asked[list(partly)] = True
            rows = np.flatnonzero(asked[batch.name.codes])
            selected[rows] = _match_rows(batch, rows, partly)
        return selected

    def first(self, batch: Batch, row: int) -> str | None:
        """Return the first spec that selects a file, as it was written."""
        for text in self.texts:
            matcher = compile_for(batch.family, text)
            if matcher is not None and matches(matcher, batch, row):
                return text
        return None

    def _compiled(self, family: str) -> _Compiled:
        if (found := self._families.get(family)) is None:
            found = _Compiled(defaultdict(list), [])
            for text in self.texts:
                matcher = compile_for(family, text)
                if matcher is None:
                    continue
                (found.patterns if matcher.name is None else found.by_name[matcher.name]).append(matcher)
            self._families[family] = found
        return found

    def _by_number(self, batch: Batch) -> dict[int, list[Matcher]]:
        """Return the specs that may select files of each name, by its number in the batch."""
        compiled = self._compiled(batch.family)
        found: defaultdict[int, list[Matcher]] = defaultdict(list)
        for number, name in enumerate(batch.name.values):
            if name in compiled.by_name:
                found[number] += compiled.by_name[name]
        for pattern in compiled.patterns:
            checkpoint()
            for number in _candidates(pattern, batch.name.values):
                found[number].append(pattern)
        return found


def is_bare(spec: Matcher) -> bool:
    """Say whether a spec is but a name or a pattern of names, so that it selects all files of what it matches."""
    return _BARE.fullmatch(spec.text) is not None


def asks_versions_only(text: str) -> bool:
    """Say whether a spec is a name and, perhaps, conditions on the version, and nothing else."""
    return _BARE.fullmatch(text) is not None or _VERSION_ONLY.fullmatch(text) is not None


def matches(spec: Matcher, batch: Batch, row: int) -> bool:
    """Say whether a spec selects a file."""
    return spec.matches(
        batch.name[row],
        batch.version[row],
        batch.build[row],
        int(batch.build_number[row]),
        subdir=batch.partition[row],
        license=batch.license[row],
    )


def _candidates(pattern: Matcher, names: Sequence[str]) -> Iterable[int]:
    """Return the numbers of the names a pattern matches. What begins otherwise is not asked about one by one."""
    if pattern.text == "*":
        return range(len(names))
    start = _FILL.sub("", pattern.text.partition("*")[0].lower()) if is_bare(pattern) else ""
    numbers = (number for number, name in enumerate(names) if _FILL.sub("", name.lower()).startswith(start))
    return [number for number in numbers if pattern.matches_name(names[number])]


def _match_rows(batch: Batch, rows: Ints, specs: dict[int, list[Matcher]]) -> Bools:
    """Return which rows one of the specs for their name selects."""
    names = batch.name.codes[rows]
    found = np.zeros(len(rows), np.bool_)
    order = np.argsort(names, kind="stable")
    starts = np.flatnonzero(np.diff(names[order], prepend=-1))
    for at in np.split(order, starts[1:]):
        left = at  # what one spec selects, the others need not be asked about
        for spec in specs[int(names[at[0]])]:
            checkpoint()
            chosen = select_rows(spec, batch, rows[left])
            found[left[chosen]] = True
            left = left[~chosen]
    return found


def select_rows(spec: Matcher, batch: Batch, rows: Ints) -> Bools:
    """Return which of some rows, all of a name that the spec is about, it selects. Versions are asked about once."""
    if is_bare(spec):
        return np.ones(len(rows), np.bool_)
    codes = batch.version.codes[rows].tolist()
    allowed = {code: spec.matches_version(batch.version.values[code]) for code in set(codes)}
    if asks_versions_only(spec.text):
        return np.array([allowed[code] for code in codes], np.bool_)
    said: dict[tuple[int, ...], bool] = {}
    found = []
    for code, row, alike in zip(codes, rows.tolist(), _alike(spec, batch, rows), strict=True):
        if allowed[code] and alike not in said:
            said[alike] = matches(spec, batch, row)
        found.append(allowed[code] and said[alike])
    return np.array(found, np.bool_)


def _alike(spec: Matcher, batch: Batch, rows: Ints) -> Iterable[tuple[int, ...]]:
    """Yield what a spec can tell rows of one name apart by: partition and licence only if it has more than a build."""
    texts = [batch.version, batch.build]
    if not _PLAIN.issuperset(spec.text):
        texts += [batch.partition, batch.license]
    columns = [batch.build_number[rows].tolist(), *(column.codes[rows].tolist() for column in texts)]
    return zip(*columns, strict=True)
