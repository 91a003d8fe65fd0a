"""The METADATA file of a distribution: header fields and a description. Source: core metadata 2.5, PEP 566, PEP 639.

Our own reader, since the standard library's takes quadratic time for hostile headers. What it reads, it reads alike
(`email.message_from_bytes`, which pip and importlib use); a field that readers may take differently is refused.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from packhouse.formats.archives.names import shown
from packhouse.formats.base import Malformed
from packhouse.formats.licenses import FAMILIES, license_family

#: characters of a text that lists show
MAX_TEXT = 16_384
MAX_README = 256 * 1024
_MAX_LINES = 50_000
_HEADER = re.compile(r"([\x21-\x39\x3b-\x7e]+):(.*)", re.DOTALL)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
#: fields that stand once; of two of them, readers take different ones
_SINGLE = frozenset(
    ("metadata-version", "name", "version", "summary", "requires-python", "license-expression", "license")
)
_CLASSIFIER = "License :: "
_SHORT_LICENSE = 200


class CoreMetadata(msgspec.Struct):
    """What the METADATA of one distribution says. Fields are in lower case, their values in the order they stand."""

    fields: dict[str, list[str]]
    body: str

    def one(self, field: str) -> str:
        """Return the value of a field that stands once; "" when it is missing or only says that it is unknown."""
        value = self.fields.get(field, [""])[0].strip()
        return "" if value == "UNKNOWN" else value

    def all(self, field: str) -> list[str]:
        """Return the values of a field that may be repeated."""
        return [value.strip() for value in self.fields.get(field, ())]


def parse_metadata(data: bytes) -> CoreMetadata:
    """Parse the bytes of a METADATA file; what is not UTF-8 in them is replaced.

    Malformed for text with the character U+0000, a first line that continues none, a field twice that may stand once,
    too many lines of fields, and values that are too long.
    """
    if b"\0" in data:
        raise Malformed("METADATA holds the character U+0000.")
    text = data.decode("utf-8", "replace")
    fields: dict[str, list[str]] = {}
    body = ""
    at, current = 0, ""
    pieces: list[str] = []
    for _ in range(_MAX_LINES):
        line = _LINE.match(text, at)[0]  # type: ignore[index]  # the pattern matches everywhere
        if line[:1] in (" ", "\t"):
            if not current:
                raise Malformed("METADATA begins with a line that continues none.")
            pieces.append(line)
        else:
            _add(fields, current, pieces)
            match = _HEADER.fullmatch(line)
            if line.startswith((":", "From ")):
                raise Malformed(f"METADATA has the line {shown(line)}, which readers take differently.")
            if match is None:  # a blank line, or as for the standard library the first that is no field
                body = text[at + (len(line) if not line.strip("\r\n") else 0) :]
                break
            current, pieces = match[1].lower(), [match[2]]
        at += len(line)
    else:
        raise Malformed(f"METADATA has more than {_MAX_LINES:,} lines of fields.")
    return CoreMetadata(fields, body)


def _add(fields: dict[str, list[str]], name: str, pieces: list[str]) -> None:
    if not name:
        return
    if name in _SINGLE and name in fields:
        raise Malformed(f"METADATA has the field {shown(name)} twice.")
    value = "".join(pieces)
    if name != "description" and name != "license" and len(value) > MAX_TEXT:
        raise Malformed(f"METADATA has a {shown(name)} of {len(value):,} characters; at most {MAX_TEXT:,} are taken.")
    fields.setdefault(name, []).append(value)


def license_of(metadata: CoreMetadata) -> tuple[str, str]:
    """Return what is said of the licence, short enough for a list, and its family.

    The expression counts first (PEP 639), then a short free text, then the classifiers, of which the most demanding
    gives the family since they do not say whether they are alternatives, and last the beginning of a long free text.
    """
    if expression := metadata.one("license-expression"):
        return expression, license_family("", expression)
    free = metadata.one("license")
    if free and len(free) <= _SHORT_LICENSE and "\n" not in free and "\r" not in free:
        return free, license_family("", free)
    if named := _classified(metadata):
        return ", ".join(named), max((license_family("", one) for one in named), key=FAMILIES.index)
    first = free.split("\n", 1)[0].strip()[:_SHORT_LICENSE]
    return first, license_family("", free)


def _classified(metadata: CoreMetadata) -> list[str]:
    named = [text[len(_CLASSIFIER) :] for text in metadata.all("classifier") if text.startswith(_CLASSIFIER)]
    return [name.rpartition(" :: ")[2] for name in named if name != "OSI Approved"][:20]


def description_of(metadata: CoreMetadata) -> str:
    """Return the long description, at most `MAX_README` characters: the body, or the folded field of older versions."""
    text = metadata.body
    if not text.strip():
        lines = metadata.fields.get("description", [""])[0].splitlines()
        text = "\n".join(re.sub(r"^ {7}(?: |\|)", "", line) for line in lines)
    return text.strip()[:MAX_README]


def about_of(metadata: CoreMetadata) -> dict[str, Any]:
    """Return what people want to know besides: author, addresses, keywords, classifiers."""
    single = {name: metadata.one(name) for name in ("author", "maintainer", "home-page", "keywords", "requires-python")}
    lists = {name: metadata.all(name)[:200] for name in ("project-url", "classifier", "provides-extra")}
    return {name.replace("-", "_"): value for name, value in (single | lists).items() if value}
