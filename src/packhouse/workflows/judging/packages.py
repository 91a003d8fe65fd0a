"""Names of packages as people write them, when they say something about one."""

from __future__ import annotations

import re

from packhouse.core.errors import PackhouseError
from packhouse.formats import registry

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


def package_name(family: str, name: str) -> str:
    """Return the name as the catalogue has it. The package need not be there.

    Raises PackhouseError: `bad_request` for what is no name, `unsupported_type` for an unknown family.
    """
    kind = registry.get(family)
    if not _NAME.fullmatch(name):
        raise PackhouseError(
            "bad_request", f"`name`: {name[:80]!r} is no package name.", "Versions and builds go into `spec`."
        )
    return str(kind.matcher(name).name)
