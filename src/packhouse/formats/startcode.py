"""Code that runs when Python starts, without anybody calling it; and its text, kept for people to read.

Source: the `site` module, PEP 829 (`.start`). Where its files lie in an archive is for each family to say.
"""

from __future__ import annotations

import re

from packhouse.formats.archives.limits import KIB

#: bytes of one text that are kept for people to read, and how many texts
MAX_BODY = 4 * KIB
MAX_BODIES = 20
#: how a module is called that `site` imports, below a folder of the import path
START_MODULE = r"(?:sitecustomize|usercustomize)(?:\.py|\.pyc|\.so|\.pyd|\.[^/]*\.(?:so|pyd)|/__init__\.pyc?)"
#: what `site` executes in a `.pth`: a line, by any of the line ends of str.splitlines, that begins with "import"
_PTH_CODE = re.compile(rb"(?:\A|[\r\n\v\f\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9])(?:\xef\xbb\xbf)?\s*import[ \t]")


def pth_runs_code(text: bytes) -> bool:
    """Say whether a `.pth` has a line that Python executes."""
    return _PTH_CODE.search(text) is not None


def body(text: bytes) -> str:
    """Return the start of a text as people can read it and a database can keep it; "" for what is no text."""
    head = text[:MAX_BODY]
    return "" if b"\0" in head else head.decode("utf-8", "replace")
