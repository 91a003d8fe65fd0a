"""Small files and small functions: a reader should hold each in mind at once."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.unit.house.sources import ROOT, Source, functions, sources


def percentile(values: Sequence[int], share: float) -> int:
    """Return the value that `share` of the values do not exceed."""
    return sorted(values)[int(share * (len(values) - 1))]


def longest(found: Sequence[Source]) -> list[str]:
    """Return the five longest files, for the message."""
    return [f"{source.name}: {source.lines}" for source in sorted(found, key=lambda one: -one.lines)[:5]]


def test_no_file_is_longer_than_500_lines() -> None:
    found = [*sources(), *sources(ROOT / "tests"), *sources(ROOT / "bench")]
    assert max(source.lines for source in found) <= 500, longest(found)


def test_most_files_are_short() -> None:
    found = [source for source in sources() if not source.name.endswith("__init__.py")]
    lengths = [source.lines for source in found]
    assert median(lengths) <= 130, longest(found)
    assert percentile(lengths, 0.9) <= 300, longest(found)


def test_functions_are_short() -> None:
    found = [(length, f"{source.name}: {name}") for source in sources() for name, length in functions(source)]
    found.sort(reverse=True)
    lengths = [length for length, _ in found]
    assert lengths[0] <= 60, found[:5]
    assert percentile(lengths, 0.9) <= 30, found[: len(found) // 10]
    assert median(lengths) <= 10
