"""What the builder of a conda package says of vulnerabilities in it. Source: conda schema info-security-1.

`info/security.json` lists vulnerabilities that a patch of the recipe mitigates, that were found not to apply, and that
are known to be open. It is a word in favour of the own work, so it counts less than any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from packhouse.security.vulnerabilities.statements import MAX_NOTE, MAX_TEXT, Judged, Statement

#: from the best to the worst, so that what is said of a vulnerability twice is in the end the worst of it
_LISTS: tuple[tuple[str, Judged], ...] = (
    ("vulns_cleared", "cleared"),
    ("vulns_mitigated", "mitigated"),
    ("vulns_active", "active"),
)
MAX_STATEMENTS = 500
_ID = re.compile(r"CVE-[0-9]{4}-[0-9]{4,10}", re.ASCII)
_REFERENCES = 10


def builder_statements(
    security: Mapping[str, Any], family: str, name: str, sha256: str, at: int, author: str = ""
) -> list[Statement]:
    """Return what info/security.json of the file with that hash says, by vulnerability; `at` is in microseconds.

    Of a vulnerability it has two minds about, the worst counts. What is not as the schema has it is passed over: a
    wrong text says nothing, and is no reason to refuse a package.
    """
    found: dict[str, Statement] = {}
    for key, status in _LISTS:
        listed = security.get(key)
        for item in listed[:MAX_STATEMENTS] if isinstance(listed, list) else ():
            if isinstance(item, dict) and isinstance(known := item.get("id"), str) and _ID.fullmatch(known):
                found[known] = Statement(
                    known, family, name, status, sha256=sha256.lower(), note=_note(item), author=author[:MAX_TEXT],
                    at=at, origin="builder",
                )  # fmt: skip
    return [found[known] for known in sorted(found)]


def _note(item: Mapping[str, Any]) -> str:
    """Write comment, patch and references of an entry as lines for people."""
    lines = [_text(item.get("comment"))]
    for label, key in (("Patch", "patch_fn"), ("Patch source", "patch_src_url")):
        if text := _text(item.get(key)):
            lines.append(f"{label}: {text}")
    references = item.get("references")
    for one in references[:_REFERENCES] if isinstance(references, list) else ():
        if isinstance(one, dict) and (url := _text(one.get("url"))):
            lines.append(f"Reference: {url}")
    return "\n".join(line for line in lines if line)[:MAX_NOTE]


def _text(value: object) -> str:
    return value.replace("\0", "").strip() if isinstance(value, str) else ""
