"""What people write to select files of one package: versions, and a build where the family has builds."""

from __future__ import annotations

import re

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry

_EXAMPLES = {"conda": "'>=3.2,<4 py39_*'", "python": "'>=3.2,<4'"}
_VERSION = re.compile(r"[=<>!~]*(?=[^=<>~]*[\d*])[^=<>~]+")  # a comparison, if any, and what has a number


def check_selection(family: str, name: str, spec: str) -> None:
    """PackhouseError("bad_request") for a spec that cannot be read, repeats the name, or asks for what is no version.

    conda's clients read any word as a version (CEP 33), so that what is mistyped would select nothing without a word.
    """
    hint = f"Write for example {_EXAMPLES[family]}, without the name; nothing means every file."
    if re.match(rf"(?:[\w.-]+::)?{re.escape(name)}(?![\w.-])", spec.strip(), re.IGNORECASE):
        raise PackhouseError("bad_request", f"The spec {spec[:80]!r} repeats the name of the package.", hint)
    try:
        versions = registry.get(family).matcher(f"{name} {spec}".strip()).versions
    except PackhouseError as error:
        raise PackhouseError(error.code, error.message, hint) from None
    for word in re.split(r"[,|()]+", versions):
        if word and not _VERSION.fullmatch(word):
            raise PackhouseError("bad_request", f"The spec {spec[:80]!r} asks for {word!r}, which is no version.", hint)
