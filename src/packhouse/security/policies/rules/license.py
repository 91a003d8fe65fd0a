"""Keep or drop licence families."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.licenses import FAMILIES
from packhouse.security.policies.subject import Context, Subject


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


class Licenses:
    """Hides files whose licence family is excluded, or not among those to include when there are any."""

    key = "license"

    def __init__(self, include: Iterable[str], exclude: Iterable[str]) -> None:
        self._include = frozenset(map(family, include))
        self._exclude = frozenset(map(family, exclude))

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return the licence family when it may not be shown."""
        found = subject.license_family
        if found in self._exclude:
            return f"the licence family {found} is excluded"
        return f"the licence family {found} is not selected" if self._include and found not in self._include else None
