"""What a distribution needs: Requires-Dist, read as pip reads it. Source: PEP 508, PEP 440."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from packhouse.formats.archives.names import shown
from packhouse.formats.python.filename import normalise

MAX_REQUIREMENT = 2048
#: the name at the start of a requirement that is otherwise none
_LEADING = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
#: a marker as `packaging` writes it: parentheses, `and`, `or`, and comparisons of two operands
_TOKEN = re.compile(
    r"""\s*(\(|\)|\b(?:and|or)\b|(?:"[^"]*"|'[^']*'|[\w.]+)\s*(?:not\ in|in|[<>=!~]+)\s*(?:"[^"]*"|'[^']*'|[\w.]+))""",
    re.VERBOSE,
)
_EXTRA = re.compile(r"""extra\s*==\s*["'][^"']+["']|["'][^"']+["']\s*==\s*extra""")


@lru_cache(maxsize=50_000)
def parse_requirement(text: str) -> Requirement | None:
    """Return the requirement that `text` spells, or None when it is none (PEP 508)."""
    if len(text) > MAX_REQUIREMENT or "\0" in text:
        return None
    try:
        return Requirement(text)
    except (ValueError, RecursionError):  # InvalidRequirement is a ValueError
        return None


def requirement_fault(texts: Iterable[str]) -> str:
    """Return what is wrong with the first requirement that clients could not read, or ""."""
    for text in texts:
        if parse_requirement(text) is None:
            return f"METADATA requires {shown(text)}, which is no requirement that Python's tools can read (PEP 508)."
    return ""


def parse_specifiers(text: str) -> SpecifierSet | None:
    """Return the version specifiers that `text` spells, or None when it holds something else (PEP 440)."""
    if len(text) > MAX_REQUIREMENT or "\0" in text:
        return None
    try:
        return SpecifierSet(text)
    except ValueError:
        return None


def required_names(texts: Iterable[str]) -> list[str]:
    """Return the normalised names that are needed in some environment without asking for an extra, each once, in order.

    What only an extra needs is left out: nobody gets it who does not ask for it. Other markers count as true, since
    some reader's platform is the one they speak of. Of an old text that is no requirement, the name it begins with.
    """
    return sorted({name for text in texts if (name := _required(text))})


def required_specs(texts: Iterable[str]) -> list[str]:
    """Return `name specifiers` of what is needed without asking for an extra; what cannot be read is left out."""
    found = []
    for text in texts:
        parsed = parse_requirement(text)
        if parsed is not None and _required(text):
            found.append(f"{normalise(parsed.name)}{parsed.specifier}")
    return found


@lru_cache(maxsize=50_000)
def _required(text: str) -> str:
    parsed = parse_requirement(text)
    if parsed is None:
        match = _LEADING.match(text.strip()[:MAX_REQUIREMENT])
        return normalise(match.group()) if match else ""
    if parsed.marker is not None and "extra" in (marker := str(parsed.marker)) and not _may_hold(marker):
        return ""
    return normalise(parsed.name)


def _may_hold(marker: str) -> bool:
    """Say whether a marker can hold where no extra is asked for. As there is no negation, the rest counts as true."""
    waiting: list[tuple[bool, bool]] = []  # of each open parenthesis: the alternatives so far, and the present one
    either, both = False, True
    for token in _TOKEN.findall(marker):
        match token:
            case "(":
                waiting.append((either, both))
                either, both = False, True
            case ")":
                inner = either or both
                either, both = waiting.pop()
                both = both and inner
            case "or":
                either, both = either or both, True
            case "and":
                pass
            case comparison:
                both = both and not _EXTRA.fullmatch(comparison)
    return either or both
