"""What the members of a conda package say of where it comes from: distributions in it, and sources of its recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from packhouse.formats.archives.limits import KIB
from packhouse.formats.purl import of_url

#: the rendered recipe, as conda-build and as rattler-build keep it
RECIPES = ("info/recipe/meta.yaml", "info/recipe/rendered_recipe.yaml")
MAX_RECIPE = 256 * KIB
#: distributions of one package that are kept; a package that holds more is a collection, and says nothing of a name
MAX_DISTRIBUTIONS = 256

#: only directly in a site-packages that Python reads: what lies deeper (`_vendor/`) is a copy inside another project
_PYTHON = re.compile(
    r"(?:(?:lib(?:64)?/(?:python|pypy)[^/]*|lib)/)?site-packages/([^/]+)\.(?:dist-info/METADATA|egg-info(?:/PKG-INFO)?)",
    re.IGNORECASE,
)
_STEM = re.compile(r"(.+?)-(\d[^-]*)(?:-py\d[0-9.]*)?")
_R = re.compile(r"lib/R/library/([A-Za-z][A-Za-z0-9.]*)/DESCRIPTION", re.IGNORECASE)
_ABOUT = ("home", "dev_url", "source_url")
_SOURCE = re.compile(r"( *)(?:- )?source:.*")
_KEY = re.compile(r" *(?:- )?([a-z0-9_]+):(?: |$)")
_URL = re.compile(r"https?://[^\s'\",\]}]+")


def distribution(member: str) -> tuple[str, str, str] | None:
    """Return (ecosystem, name, version) when a member is the metadata of an installed distribution, else None.

    The name is as the path spells it. The version is "" where the path has none: for R always.
    """
    if match := _PYTHON.fullmatch(member):
        stem = _STEM.fullmatch(match[1])
        return ("PyPI", stem[1], stem[2]) if stem else ("PyPI", match[1], "")
    if match := _R.fullmatch(member):
        return "CRAN", match[1], ""
    return None


def sources(about: dict[str, Any], recipe: str) -> list[str]:
    """Return the purls of the addresses in info/about.json and of the first source of the rendered recipe, sorted.

    Only the first source: further ones are what is built into it, or data for its tests.
    """
    urls = [url for key in _ABOUT for url in _texts(about.get(key))] + _source_urls(recipe)
    return sorted({purl for url in urls if (purl := of_url(url))})


def declared(record: dict[str, Any]) -> list[str]:
    """Return the purls a record has, whatever else stands under that key."""
    return sorted(set(_texts(record.get("purls"))))


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [text for text in listed if isinstance(text, str)]


def _source_urls(recipe: str) -> list[str]:
    """Read the addresses of the first `url:` below the first `source:`; no YAML reader is let near foreign text."""
    lines = iter(recipe.splitlines())
    start = next((match for line in lines if (match := _SOURCE.fullmatch(line))), None)
    found: list[str] = []
    keys: list[str] = []
    for line in _block(lines, len(start[1])) if start else ():
        if key := _KEY.match(line):
            keys.append(key[1])
        if keys.count("url") > 1:
            break
        if keys[-1:] == ["url"]:
            found += _URL.findall(line)
    return found


def _block(lines: Iterable[str], indent: int) -> Iterable[str]:
    """Yield the lines that belong to a key of that indent."""
    for line in lines:
        text = line.lstrip(" ")
        depth = len(line) - len(text)
        if text and (depth < indent or (depth == indent and not text.startswith("- "))):
            return
        yield line
