"""The tags of a simple HTML page, read without trusting it: one pass, in time that grows with the page only.

Not the standard library's parser, which takes quadratic time for pages made to hurt it. Source: PEP 503; of HTML only
what its pages need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

#: characters of one tag that are looked at, and attributes
_MAX_TAG = 16_384
_MAX_ATTRIBUTES = 50
_START = re.compile(r"<(?:(!--)|(a|base|meta)(?=[\s/>]))", re.IGNORECASE)
_SPACE = re.compile(r"[\s/]*")
_ATTRIBUTE = re.compile(
    r"""([^\s=>"'/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']*)))?""",
)


class Tag(NamedTuple):
    """A start tag: its name and attributes in lower case, their values without character references."""

    name: str
    attributes: dict[str, str]


def tags(text: str) -> Iterator[Tag | None]:
    """Yield the `a`, `base` and `meta` tags of a page in their order, and None for one that cannot be read."""
    at = 0
    while (match := _START.search(text, at)) is not None:
        if match[1]:
            end = text.find("-->", match.end())
            if end < 0:
                return
            at = end + 3
            continue
        attributes, at = _attributes(text, match.end(), min(len(text), match.end() + _MAX_TAG))
        yield None if attributes is None else Tag(match[2].lower(), attributes)


def _attributes(text: str, at: int, end: int) -> tuple[dict[str, str] | None, int]:
    """Return the attributes from `at` up to the `>` of their tag, and where reading ended; None without a `>`."""
    found: dict[str, str] = {}
    while len(found) <= _MAX_ATTRIBUTES:
        space = _SPACE.match(text, at, end)
        at = space.end() if space else at
        if at < end and text[at] == ">":
            return found, at + 1
        match = _ATTRIBUTE.match(text, at, end)
        if match is None:
            break
        at = match.end()
        value = next((one for one in match.groups()[1:] if one is not None), "")
        found.setdefault(match[1].lower(), unescape(value))  # of an attribute given twice, the first: HTML 13.2.5.33
    return None, at
