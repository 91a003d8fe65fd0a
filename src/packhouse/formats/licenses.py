"""Licences as packages state them, as SPDX expressions or freely, and the family of each: a word a policy can name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple

#: from the least to the most demanding: the family of "A or B" is the lesser, of "A and B" the greater
FAMILIES = (
    "Public-Domain", "MIT", "BSD", "PSF", "APACHE", "CC", "OTHER", "None",
    "MOZILLA", "LGPL", "GPL", "GPL2", "GPL3", "AGPL", "Proprietary",
)  # fmt: skip
_BY_KEY = {re.sub(r"[^a-z0-9]", "", family.lower()): family for family in FAMILIES}
_RANK = {family: rank for rank, family in enumerate(FAMILIES)}

_RULES = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"AGPL|AFFERO", "AGPL"),
        (r"LGPL|LESSER|LIBRARY GENERAL", "LGPL"),
        (r"(GPL|GENERAL PUBLIC)[^2]*3", "GPL3"),
        (r"(GPL|GENERAL PUBLIC)[^3]*2", "GPL2"),
        (r"GPL|GENERAL PUBLIC", "GPL"),
        (r"PUBLIC.?DOMAIN|\bUNLICENSE|^BLESSING|^CC-?0|CC0", "Public-Domain"),
        (r"\bCC[ -]?BY|CREATIVE COMMONS", "CC"),
        (r"BSD", "BSD"),
        (r"APACHE|\bASL\b", "APACHE"),
        (r"\bMPL|MOZILLA", "MOZILLA"),
        (r"PSF|\bPYTHON\b|PYTHON-2", "PSF"),
        (r"\bMIT\b|MIT_|\bEXPAT\b|^X11$", "MIT"),
        (r"PROPRIETARY|COMMERCIAL|\bEULA\b|ALL RIGHTS RESERVED|NVIDIA SOFTWARE|CUDA TOOLKIT", "Proprietary"),
    )
)
_TOKENS = re.compile(r"[()|]|(?<=[\s)])(?:AND|OR)(?=[\s(])|/(?!/)", re.IGNORECASE)
_OR_LATER = re.compile(
    r"\s+or\s+(?:\(at your option\)\s+)?(?:any\s+)?(?:later|newer|greater)(?:\s+version)?", re.IGNORECASE
)
_R_VERSION = re.compile(r"\(\s*([<>=]=?[^()]*)\)")  # GPL (>= 2)
_SPDX = re.compile(r"[A-Za-z][A-Za-z0-9.]*(?:-[A-Za-z0-9.]+)+\+?(?: with [A-Za-z0-9.-]+)?", re.IGNORECASE)
#: identifiers without a hyphen, which would else be taken for words misspelt
_SHORT = frozenset({"isc", "zlib", "unlicense", "curl", "ncsa", "libpng", "vim", "ruby", "wtfpl", "x11", "ijg", "tcl"})


@lru_cache(maxsize=4096)
def license_family(family: str, text: str) -> str:
    """Return one of `FAMILIES`: the given family when it is a known word, else what the licence text says.

    The text may be an SPDX expression or free. "None" means that nothing is stated at all.
    """
    key = re.sub(r"[^a-z0-9]", "", family.lower())
    if key in _BY_KEY and not (key == "none" and text.strip()):
        return _BY_KEY[key]
    stated = text.strip() or family.strip()
    if not stated:
        return "None"
    tree = parse(stated)
    return "OTHER" if tree is None else _family(tree)


def is_identifier(word: str) -> bool:
    """Say whether a word looks like an SPDX identifier, with an exception or not: `GPL-3.0-only`, `Zlib`."""
    if word.lower() in _SHORT:
        return True
    known = any(mark.isdigit() for mark in word) or license_family("", word) != "OTHER"
    return known and _SPDX.fullmatch(word) is not None


class Choice(NamedTuple):
    """Several licences of which one ("or") or each ("and") holds."""

    kind: Literal["or", "and"]
    parts: list[Any]  #: of `Tree`


#: an expression: one licence as it was written, with its `WITH` exception if any, or a choice
Tree = str | Choice


def parse(text: str) -> Tree | None:
    """Return what an SPDX expression or a free text says, or None when it names no licence. Never fails."""
    return _Expression(_OR_LATER.sub("+", _R_VERSION.sub(r"\1", text[:1000]))).tree()


def _family(tree: Tree) -> str:
    if isinstance(tree, str):
        return _atom(tree) or "OTHER"
    ranks = [_RANK[_family(part)] for part in tree.parts]
    return FAMILIES[min(ranks) if tree.kind == "or" else max(ranks)]


def _atom(text: str) -> str | None:
    upper = text.strip(" +,;.").upper()
    if not upper or upper.startswith("FILE LICEN"):
        return None
    return next((family for pattern, family in _RULES if pattern.search(upper)), "OTHER")


class _Expression:
    """A forgiving parser of `A OR (B AND C)`: `|` and `/` are "or"; unbalanced parentheses do no harm."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        for match in _TOKENS.finditer(text):
            self._tokens += [text[at : match.start()], match.group().upper()]
            at = match.end()
        self._tokens.append(text[at:])
        self._tokens = [token for token in self._tokens if token.strip()]
        self._at = 0

    def tree(self) -> Tree | None:
        return self._either()

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _either(self) -> Tree | None:
        parts = [self._both()]
        while self._peek() in ("OR", "|", "/"):
            self._at += 1
            parts.append(self._both())
        return _joined("or", parts)

    def _both(self) -> Tree | None:
        parts = [self._one()]
        while self._peek() == "AND":
            self._at += 1
            parts.append(self._one())
        return _joined("and", parts)

    def _one(self) -> Tree | None:
        found: Tree | None = None
        while (token := self._peek()) and token not in ("OR", "|", "/", "AND", ")"):
            self._at += 1
            if token == "(":  # noqa: S105  a parenthesis, not a password
                inner = self._either() if self._at < 200 else None
                self._at += self._peek() == ")"
                found = inner or found if found is None or _family(found) == "OTHER" else found
            else:
                found = found or (token.strip() if _atom(token) else None)
        if self._peek() == ")" and found is None and self._at == 0:
            self._at += 1
        return found


def _joined(kind: Literal["or", "and"], parts: list[Tree | None]) -> Tree | None:
    known = [part for part in parts if part is not None]
    return Choice(kind, known) if len(known) > 1 else known[0] if known else None
