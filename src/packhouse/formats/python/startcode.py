"""Which members of a wheel run code when Python starts, without being imported. Source: PEP 427, `site`, PEP 829.

Only what lands in a folder that `site` reads, or on the import path itself, does: the root of the wheel and the purelib
and platlib folders of its data. The other data folders may lead anywhere, so everything in them counts.
"""

from __future__ import annotations

import re

from packhouse.formats.startcode import START_MODULE

_DATA = re.compile(r"[^/]+\.data/([^/]+)/(.*)", re.DOTALL)
# Names are compared without regard to case: so do the file systems of Windows and macOS.
_MODULE = re.compile(START_MODULE, re.IGNORECASE)


def import_path(member: str) -> str | None:
    """Return where a member lies below a folder of the import path; None when it lies in none.

    Of a data folder that can lead anywhere it is the file's name, as if its folder were one of the import path.
    """
    match = _DATA.fullmatch(member)
    if match is None:
        below = re.split(r"(?:^|/)(?:site|dist)-packages/", member, flags=re.IGNORECASE)
        return below[-1]
    if match[1] in ("purelib", "platlib"):
        return match[2]
    if match[1] == "data":
        parts = match[2].rsplit("/", 2)
        return "/".join(parts[-2:]) if parts[-1].lower().startswith("__init__.") else parts[-1]
    return None


def runs_by_name(member: str) -> bool:
    """Say whether a member runs by what it is called."""
    path = import_path(member)
    return path is not None and (_MODULE.fullmatch(path) is not None or _is_startup(path, ".start"))


def is_pth(member: str) -> bool:
    """Say whether a member is a `.pth` that Python reads when it starts."""
    path = import_path(member)
    return path is not None and _is_startup(path, ".pth")


def _is_startup(path: str, suffix: str) -> bool:
    return "/" not in path and path.lower().endswith(suffix)
