"""Whether a record that an upstream lists stands under the name of its own file. Source: CEP 26 (file names)."""

from __future__ import annotations

from functools import lru_cache

from packhouse.formats.base import Malformed
from packhouse.formats.conda.filename import parse_filename


def check_listed(filename: str, name: str, version: str, build: str) -> None:
    """Malformed for a record of another file, and for a name with characters no conda file has."""
    stem = f"{name}-{version}-{build}"
    if filename not in (f"{stem}.conda", f"{stem}.tar.bz2"):
        raise Malformed(f"The record of {filename[:200]} is one of {stem}.")
    # the parts repeat a lot, so they are remembered
    fault = _name_fault(name) or _part_fault(version, "0") or _part_fault("0", build)
    if fault or len(filename) > 200:
        raise Malformed(fault or "The file name is too long.")


@lru_cache(maxsize=100_000)
def _name_fault(name: str) -> str:
    return _fault(f"{name}-0-0.conda")


@lru_cache(maxsize=100_000)
def _part_fault(version: str, build: str) -> str:
    return _fault(f"a-{version}-{build}.conda")


def _fault(filename: str) -> str:
    try:
        parse_filename(filename)
    except Malformed as fault:
        return str(fault)
    return ""
