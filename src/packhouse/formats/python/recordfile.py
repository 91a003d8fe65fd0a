"""The RECORD of a wheel against the members it lists. Source: PEP 427, "The .dist-info directory"; PEP 376.

A hash that does not fit is refused whoever asks: the wheel contradicts itself. Members that are missing or not listed
are a fault of its author: an upload is refused for it, a mirror shows what its upstream shows.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterable
from typing import NamedTuple

from packhouse.formats.archives.limits import Limits
from packhouse.formats.archives.names import shown
from packhouse.formats.base import Malformed

#: "sha256 or better" (PEP 427); the older ones prove nothing
_STRONG = frozenset(("sha256", "sha384", "sha512"))
#: signatures of RECORD, which it cannot list
_SIGNATURES = (".jws", ".p7s")


class Line(NamedTuple):
    """What RECORD says of one member: how it is hashed ("" when not), the digest as it stands there, bytes or None."""

    algorithm: str
    digest: str
    size: int | None


class RecordFile:
    """The lines of a RECORD, by the path of the member."""

    def __init__(self, name: str, lines: dict[str, Line]) -> None:
        self._name, self._lines = name, lines

    def algorithm(self, member: str) -> str:
        """Return how the content of a member has to be hashed, "" when RECORD holds no digest that proves anything."""
        line = self._lines.get(member)
        return line.algorithm if line is not None and line.algorithm in _STRONG else ""

    def check(self, member: str, size: int, digest: bytes) -> None:
        """Malformed when a member is not what RECORD says; `digest` is of its `algorithm`, empty without one."""
        line = self._lines.get(member)
        if line is None:
            return
        said = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (line.size is not None and line.size != size) or (digest and line.digest.rstrip("=") != said):
            raise Malformed(f"The content of {shown(member)} is not what RECORD says of it.")

    def fault(self, members: Iterable[str]) -> str:
        """Return what keeps RECORD from being the list of `members`, with a digest of each, or ""."""
        found = set(members)
        own = {self._name, *(self._name + suffix for suffix in _SIGNATURES)}
        for path in sorted(self._lines.keys() - found):
            return f"RECORD lists {shown(path)}, which is not in the wheel."
        for path in sorted(found - self._lines.keys() - own):
            return f"The wheel has the member {shown(path)}, which RECORD does not list."
        for path in sorted(found - own):
            if not self.algorithm(path):
                return f"RECORD has no SHA-256 of {shown(path)}."
        return ""


def parse_record(name: str, data: bytes, limits: Limits) -> RecordFile:
    """Parse a RECORD; `name` is its own path in the wheel.

    Malformed when it is no CSV of three fields in UTF-8, says two different things of one member, or has more lines
    than a package has members.
    """
    lines: dict[str, Line] = {}
    try:
        if b"\0" in data:
            raise Malformed("RECORD holds the character U+0000.")
        rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        for count, row in enumerate(rows):
            if count > limits.members:
                raise Malformed(f"RECORD has more than {limits.members:,} lines.")
            if row:
                _add(lines, row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise Malformed(f"RECORD cannot be read: {error}.") from error
    return RecordFile(name, lines)


def _add(lines: dict[str, Line], row: list[str]) -> None:
    if len(row) != 3:
        raise Malformed(f"RECORD has a line of {len(row)} fields about {shown(row[0])}; it must be three.")
    path, hashed, size = row
    algorithm, _, digest = hashed.partition("=")
    if size and not (size.isascii() and size.isdigit() and len(size) < 19):
        raise Malformed(f"RECORD gives {shown(path)} the size {shown(size)}.")
    line = Line(algorithm.lower(), digest, int(size) if size else None)
    if lines.setdefault(path, line) != line:
        raise Malformed(f"RECORD says two different things of {shown(path)}.")


def hasher(algorithm: str) -> hashlib._Hash:
    """Return a new hash object for one of the algorithms that `RecordFile.algorithm` gives."""
    return hashlib.new(algorithm)
