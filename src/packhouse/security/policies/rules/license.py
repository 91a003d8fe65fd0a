"""Keep or drop licences: families, and single licences by their SPDX identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from packhouse.core.errors import PackhouseError
from packhouse.formats.licenses import FAMILIES, Choice, Tree, is_identifier, license_family, parse
from packhouse.security.policies.batch import Batch, Bools
from packhouse.security.policies.context import Context
from packhouse.security.policies.rule import Rule
from packhouse.security.policies.specs import Specs


def _key(word: str) -> str:
    word = word.strip().lower()
    return word if word.startswith("-") else re.sub(r"[^a-z0-9]", "", word)  # `-mit` is not mit, but its opposite


_BY_KEY = {_key(family): family for family in FAMILIES}


def family(word: str) -> str:
    """Return the family that `mit`, `public_domain`, `GPL-3` … names. PackhouseError("bad_request") for others."""
    try:
        return _BY_KEY[_key(word)]
    except KeyError:
        known = ", ".join(sorted(name.lower().replace("-", "_") for name in FAMILIES))
        raise PackhouseError("bad_request", f"{word[:40]!r} is not a licence family.", f"Known are: {known}.") from None


class _Words(NamedTuple):
    families: frozenset[str]
    identifiers: frozenset[str]  #: in lower case

    def has(self, license: str) -> bool:
        return license_family("", license) in self.families or self.names(license)

    def names(self, license: str) -> bool:
        whole = license.strip().lower()
        return whole in self.identifiers or whole.partition(" with ")[0] in self.identifiers


def _words(words: Iterable[str]) -> _Words:
    families, identifiers = set(), set()
    for word in words:
        text = word.strip()
        if _key(text) in _BY_KEY or not is_identifier(text):
            families.add(family(text))
        else:
            identifiers.add(text.lower())
    return _Words(frozenset(families), frozenset(identifiers))


class Licenses(Rule):
    """Hides files whose licence is excluded, or not among those to include when there are any.

    Of `A OR B` one that may be used is enough, of `A AND B` both must be; `A WITH exception` counts as A. A single
    licence is of the family that its record states. Files that `exceptions` selects pass: allowed over their licence.
    """

    key = "license"

    def __init__(self, include: Iterable[str], exclude: Iterable[str], exceptions: Iterable[str] = ()) -> None:
        self._include, self._exclude = _words(include), _words(exclude)
        self._selective = any(self._include)
        self._exceptions = Specs(exceptions)

    def _may(self, tree: Tree) -> bool:
        if isinstance(tree, Choice):
            return (any if tree.kind == "or" else all)(map(self._may, tree.parts))
        return not self._exclude.has(tree) and (not self._selective or self._include.has(tree))

    def hides(self, batch: Batch, context: Context, now: int) -> Bools:
        """Return which files have a licence that may not be shown."""
        hidden = self._by_family(batch)
        trees = [parse(text) if text else None for text in batch.license.values]
        several = [isinstance(tree, Choice) for tree in trees]
        if any(several):
            may = batch.license.spread(tree is None or self._may(tree) for tree in trees)
            hidden = np.where(batch.license.spread(several), ~may, hidden)
        return hidden & ~self._exceptions.select(batch) if self._exceptions and hidden.any() else hidden

    def _by_family(self, batch: Batch) -> Bools:
        """Judge each file as if it had a single licence."""
        stated, license = batch.license_family, batch.license
        excluded = stated.test(self._exclude.families.__contains__)
        if self._exclude.identifiers:
            excluded |= license.test(self._exclude.names)
        if not self._selective:
            return excluded
        included = stated.test(self._include.families.__contains__)
        if self._include.identifiers:
            included |= license.test(self._include.names)
        return excluded | ~included

    def evidence(self, batch: Batch, row: int, context: Context, now: int) -> dict[str, Any]:
        """Return the licence and its family."""
        text, stated = batch.license[row][:200], batch.license_family[row]
        said = "no licence" if stated == "None" else f"the licence {text or stated} ({stated})"
        return {"text": f"{said} is not allowed", "license": text, "license_family": stated}
