"""Code that runs when a conda package is installed or when Python starts, without anybody calling it."""

from __future__ import annotations

import re

from packhouse.formats.archives.limits import KIB

#: bytes of one text that are kept for people to read, and how many texts
MAX_BODY = 4 * KIB
MAX_BODIES = 20

# Names are compared without regard to case: so do the file systems of Windows and macOS. What lies in python-scripts/
# of a noarch package is linked into bin/ or Scripts/ (CEP 34), and found there by the installer.
_LINK_SCRIPT = re.compile(r"(?:bin|scripts|python-scripts)/\.[^/]+-(?:pre|post)-(?:un)?link\.(?:sh|bat)", re.IGNORECASE)
_START_MODULE = re.compile(
    r"(?:.*/)?(?:sitecustomize|usercustomize)(?:\.py|\.pyc|\.so|\.pyd|\.[^/]*\.(?:so|pyd)|/__init__\.pyc?)",
    re.IGNORECASE,
)
_START_FILE = re.compile(r"(?:.*/)?site-packages/[^/]+\.start", re.IGNORECASE)  # PEP 829
#: what `site` executes in a `.pth`: a line, by any of the line ends of str.splitlines, that begins with "import"
_PTH_CODE = re.compile(rb"(?:\A|[\r\n\v\f\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9])(?:\xef\xbb\xbf)?\s*import[ \t]")


def runs_by_name(member: str) -> bool:
    """Say whether a member runs by what it is called."""
    return any(pattern.fullmatch(member) for pattern in (_LINK_SCRIPT, _START_MODULE, _START_FILE))


def is_pth(member: str) -> bool:
    """Say whether a member is a `.pth` that Python reads when it starts (site module)."""
    lower = member.lower()
    return lower.endswith(".pth") and ("/" not in lower or "site-packages/" in lower)


def pth_runs_code(text: bytes) -> bool:
    """Say whether a `.pth` has a line that Python executes."""
    return _PTH_CODE.search(text) is not None


def body(text: bytes) -> str:
    """Return the start of a text as people can read it and a database can keep it; "" for what is no text."""
    head = text[:MAX_BODY]
    return "" if b"\0" in head else head.decode("utf-8", "replace")
