"""What people write to select files of one package: versions, and a build where the family has builds."""

from __future__ import annotations

import re
from typing import Protocol

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry

_EXAMPLES = {"conda": "'>=3.2,<4 py39_*'", "python": "'>=3.2,<4'"}
_VERSION = re.compile(r"[=<>!~]*(?=[^=<>~]*[\d*])[^=<>~]+")  # a comparison, if any, and what has a number
_BUILD = re.compile(r"\^.*\$|[A-Za-z0-9_.+*?]*")  # a regular expression, or a build string (CEP 26) with wildcards


class Asked(Protocol):
    """What a compiled spec asks for, as formats tell it; empty: nothing."""

    @property
    def versions(self) -> str:
        """Its version part."""

    @property
    def build(self) -> str:
        """Its build."""


def check_selection(family: str, name: str, spec: str) -> None:
    """PackhouseError("bad_request") for a spec that cannot be read, repeats the name, or asks for no version or build.

    conda's clients read any word as a version (CEP 33), and all that follows as a build: what is mistyped would select
    nothing without a word.
    """
    hint = f"Write for example {_EXAMPLES[family]}, without the name; nothing means every file."
    if re.match(rf"(?:[\w.-]+::)?{re.escape(name)}(?![\w.-])", spec.strip(), re.IGNORECASE):
        raise PackhouseError("bad_request", f"The spec {spec[:80]!r} repeats the name of the package.", hint)
    try:
        asked = registry.get(family).matcher(f"{name} {spec}".strip())
    except PackhouseError as error:
        raise PackhouseError(error.code, error.message, hint) from None
    if fault := fault_of(asked):
        raise PackhouseError("bad_request", f"The spec {spec[:80]!r} {fault}.", hint)


def fault_of(asked: Asked) -> str:
    """Return in words why a compiled spec selects no file that there could be; empty: it may select some."""
    for word in re.split(r"[,|()]+", asked.versions):
        if word and not _VERSION.fullmatch(word):
            return f"asks for {word!r}, which is no version"
    return "" if _BUILD.fullmatch(asked.build) else f"asks for the build {asked.build[:80]!r}, which no file can have"
