"""How versions compare, in the sense of those who wrote the advisory.

A version in a conda channel is spelled by conda's rules, while the advisory about it follows those of its ecosystem.
So an order has two scales: the ecosystem's own, and conda's for what the first cannot read. Within one comparison
both sides stand on the same scale. Nothing here raises: what cannot be read is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from packhouse.formats import registry
from packhouse.formats.python import versions as pep440

#: opaque, hashable, and ordered among the keys of the same scale: equal versions have equal keys
Key = Any

#: longer than any version that somebody released, short enough to read hostile ones without care
_LONGEST = 200
#: the largest number a version part may be; dates with seconds have 14 digits
_NUMBER = "[0-9]{1,18}"
_NUMBERS = re.compile(rf"{_NUMBER}(?:[._-]{_NUMBER})*")
_SEMVER = re.compile(
    rf"[vV]?(?P<numbers>{_NUMBER}(?:\.{_NUMBER})*)"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)"
    r"|[._]?(?P<glued>(?:alpha|beta|preview|pre|rc|dev)[0-9]*|[abc][0-9]+))?"
    r"(?:\+[0-9A-Za-z.-]+)?"
)
_PATCH_LETTER = re.compile(rf"({_NUMBER}(?:\.{_NUMBER})*)_?([a-z]|z[a-z])")


def _same(key: Key) -> Key:
    return key


class Scale(NamedTuple):
    """One way to read versions. `read` gives a key, or None for what is no version on this scale.

    `bare` is the key of the public version that a local variant (2.1+cu118) is built from; `ceiling` sorts after all
    variants of a public version and before anything newer. Both are the key itself where there are no variants.
    """

    read: Callable[[str], Key | None]
    bare: Callable[[Key], Key] = _same
    ceiling: Callable[[Key], Key] = _same


class Order(NamedTuple):
    """How versions of an ecosystem compare: on its own scale, else on the fallback, if there is one."""

    own: Scale
    fallback: Scale | None = None


@lru_cache(maxsize=1000)
def order_of(ecosystem: str, family: str) -> Order:
    """Return how the versions of packages of `family` compare with those in advisories of `ecosystem`.

    `ecosystem` is spelled as in OSV; what follows a colon ("Debian:12") does not matter. All that we do not know by
    name is compared by SemVer.
    """
    base = ecosystem.partition(":")[0]
    own = _OWN.get(base, _SEMVER_SCALE)
    if family != "conda" or base == "conda":
        return Order(own)
    return Order(own, _LETTERED if own is _SEMVER_SCALE else _RESPELLED)


@lru_cache(maxsize=200_000)
def _read_semver(version: str) -> Key | None:
    """Read a version by SemVer 2.0, section 11, and kindly: a leading v, fewer or more numbers, `1.2rc1`."""
    match = _SEMVER.fullmatch(version) if len(version) <= _LONGEST else None
    if match is None:
        return None
    numbers = [int(part) for part in match["numbers"].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    pre = match["pre"] or match["glued"]
    return tuple(numbers), (1,) if pre is None else (0, *map(_identifier, pre.split(".")))


def _identifier(text: str) -> tuple[int, int, str]:
    """Return the key of one part of a pre-release: numbers first, in their order, then words by ASCII."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _read_r(version: str) -> Key | None:
    """Read an R version: integers with `.` or `-` between, and 1.0 is less than 1.0.0 (R's `numeric_version`).

    conda has `_` in place of `-`, which its file names need for themselves.
    """
    if len(version) > _LONGEST or not _NUMBERS.fullmatch(version):
        return None
    return tuple(int(part) for part in re.split("[._-]", version))


def _read_conda(version: str) -> Key | None:
    """Read a conda version (CEP 33)."""
    if len(version) > _LONGEST:
        return None
    key = registry.get("conda").order(version)
    return key if key[0] else None


@lru_cache(maxsize=200_000)
def _read_respelled(version: str) -> Key | None:
    """Read what conda knows of an upstream version: a local label is the packager's, and says nothing about it."""
    return _read_conda(version.partition("+")[0])


@lru_cache(maxsize=200_000)
def _read_lettered(version: str) -> Key | None:
    """Read as conda does, but take OpenSSL's letters for patches: 1.1.1 < 1.1.1k < 1.1.1za < 1.1.2.

    By conda's own order 1.1.1k is *before* 1.1.1; conda's way to spell what upstream means is `1.1.1post.k`.
    """
    public = version.partition("+")[0]
    letter = _PATCH_LETTER.fullmatch(public) if len(public) <= _LONGEST else None
    return _read_conda(f"{letter[1]}post.{letter[2]}" if letter else public)


_SEMVER_SCALE = Scale(_read_semver)
_RESPELLED = Scale(_read_respelled)
_LETTERED = Scale(_read_lettered)
_R = Scale(_read_r)
_OWN = {
    "PyPI": Scale(pep440.parse, pep440.public, pep440.ceiling),
    "CRAN": _R,
    "Bioconductor": _R,
    "conda": Scale(_read_conda),
}
