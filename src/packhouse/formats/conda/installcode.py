"""Which members of a conda package run code when it is installed or when Python starts, without anybody calling it."""

from __future__ import annotations

import re

from packhouse.formats.startcode import START_MODULE

# Names are compared without regard to case: so do the file systems of Windows and macOS. What lies in python-scripts/
# of a noarch package is linked into bin/ or Scripts/ (CEP 34), and found there by the installer.
_LINK_SCRIPT = re.compile(r"(?:bin|scripts|python-scripts)/\.[^/]+-(?:pre|post)-(?:un)?link\.(?:sh|bat)", re.IGNORECASE)
_START_MODULE = re.compile(rf"(?:.*/)?{START_MODULE}", re.IGNORECASE)
_START_FILE = re.compile(r"(?:.*/)?site-packages/[^/]+\.start", re.IGNORECASE)  # PEP 829


def runs_by_name(member: str) -> bool:
    """Say whether a member runs by what it is called."""
    return any(pattern.fullmatch(member) for pattern in (_LINK_SCRIPT, _START_MODULE, _START_FILE))


def is_pth(member: str) -> bool:
    """Say whether a member is a `.pth` that Python reads when it starts (site module)."""
    lower = member.lower()
    return lower.endswith(".pth") and ("/" not in lower or "site-packages/" in lower)
