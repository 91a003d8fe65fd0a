"""Python versions as PEP 440 reads and orders them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from packaging.version import Version

#: sorts as `(parses, Version or text)`: versions that do not parse come before all that do, by their text
VersionKey = tuple[bool, Any]

#: the number sorts after every local label there is: PEP 440 puts numbers after words, and greater ones later
_LAST_LABEL = "9" * 40


@lru_cache(maxsize=200_000)
def parse(version: str) -> Version | None:
    """Return the version that `version` spells, or None when it is none (PEP 440, with its normalisations)."""
    try:
        return Version(version)
    except ValueError:  # InvalidVersion is one, and so is the complaint of int() about thousands of digits
        return None


def order(version: str) -> VersionKey:
    """Return a sort key: newer versions are greater; texts that are no version sort first."""
    parsed = parse(version)
    return (True, parsed) if parsed is not None else (False, version)


def equal(left: str, right: str) -> bool:
    """Say whether two texts spell the same version (`1.0` and `1.0.0`); the same text when one is no version."""
    return order(left) == order(right)


def public(version: Version) -> Version:
    """Return a version without its local label: `2.1` for `2.1+cu118` (PEP 440, "Local version identifiers")."""
    return version if version.local is None else version.__replace__(local=None)


def ceiling(version: Version) -> Version:
    """Return what sorts after every local variant of a public version, and before all else that is newer.

    A specifier without a local label takes in all of them: `<=2.1` holds 2.1+cu118 (PEP 440, "Inclusive ordered
    comparison"). A version that has a label stands for itself.
    """
    return version if version.local is not None else version.__replace__(local=_LAST_LABEL)
