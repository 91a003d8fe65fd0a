"""The licence family of a package: one of the sixteen words a policy can name."""

from __future__ import annotations

import re
from functools import lru_cache

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
    normal = _OR_LATER.sub("+", _R_VERSION.sub(r"\1", stated[:1000]))
    return _Expression(normal).family()


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

    def family(self) -> str:
        return self._either() or "OTHER"

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _either(self) -> str | None:
        found = self._both()
        while self._peek() in ("OR", "|", "/"):
            self._at += 1
            other = self._both()
            found = min(found, other, key=_RANK.__getitem__) if found and other else found or other
        return found

    def _both(self) -> str | None:
        found = self._one()
        while self._peek() == "AND":
            self._at += 1
            other = self._one()
            found = max(found, other, key=_RANK.__getitem__) if found and other else found or other
        return found

    def _one(self) -> str | None:
        found = None
        while (token := self._peek()) and token not in ("OR", "|", "/", "AND", ")"):
            self._at += 1
            if token == "(":  # noqa: S105  a parenthesis, not a password
                inner = self._either() if self._at < 200 else None
                self._at += self._peek() == ")"
                found = inner or found if found in (None, "OTHER") else found
            else:
                found = found or _atom(token)
        if self._peek() == ")" and found is None and self._at == 0:
            self._at += 1
        return found
