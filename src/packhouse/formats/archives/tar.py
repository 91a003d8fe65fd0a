"""A strict tar reader over a stream: ustar, GNU long names and pax; one pass, nothing kept but names.

Our own, since the standard library's keeps every member, forgives damage, and reads some archives differently from
the tools that will unpack them. Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from packhouse.formats.archives.inflate import Inflated
from packhouse.formats.archives.limits import Limits
from packhouse.formats.archives.names import Links, member_name, shown
from packhouse.formats.base import Malformed

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hardlink", b"2": "link", b"5": "folder"}
_REFUSED = {b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "a sparse file"}


class Member(NamedTuple):
    """One member: normal name, kind ("file", "link", "hardlink", "folder"), size in bytes, raw link target."""

    name: str
    kind: str
    size: int
    target: bytes


class Seen:
    """What is known of the members of one package so far, over all its inner archives."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.links = Links(limits)
        self._names: set[int] = set()
        self._count = 0

    def add(self, member: Member) -> None:
        """Note a member. Malformed for one too many, a second of that name, or a link that leads out."""
        self._count += 1
        if self._count > self.limits.members:
            raise Malformed(f"The package has more than {self.limits.members:,} members.")
        name, kind = member.name, member.kind
        self.links.check_path(name)
        key = hash(name)  # 64 bits, keyed per process: a tenth of the memory of the names
        if kind == "folder":
            if self.links.holds(name) or (key in self._names and name):
                raise Malformed(f"The folder {shown(name)} is also a file of the package.")
            return
        if key in self._names:
            raise Malformed(f"The member {shown(name)} is in the package twice.")
        self._names.add(key)
        if kind == "link":
            self.links.add(name, member.target)
        elif kind == "hardlink":
            self._check_hardlink(name, member_name(member.target, self.limits))

    def holds(self, name: str) -> bool:
        """Say whether a file or link of that name was noted."""
        return hash(name) in self._names

    def _check_hardlink(self, name: str, target: str) -> None:
        if hash(target) not in self._names or target == name:
            raise Malformed(f"The hard link {shown(name)} points to {shown(target)}, which is no earlier member.")
        if self.links.holds(target):
            raise Malformed(f"The hard link {shown(name)} points to the symbolic link {shown(target)}.")


class TarReader:
    """Iterate the members of a tar stream; `content(limit)` reads the present one, else it is passed over."""

    def __init__(self, stream: Inflated, seen: Seen, what: str) -> None:
        self._stream = stream
        self._seen = seen
        self._what = what
        self._left = 0  # bytes of the present member's content and padding not yet read
        self._size = 0

    def __iter__(self) -> Iterator[Member]:
        while (member := self._next()) is not None:
            self._seen.add(member)
            self._size = member.size
            self._left = -member.size % _BLOCK + member.size
            yield member
            if self._left:
                self._stream.skip(self._left)
        while piece := self._stream.rest():
            if piece != bytes(len(piece)):
                raise Malformed(f"{self._what} has data after its end-of-archive mark.")

    def content(self, limit: int) -> bytes:
        """Return the content of the member just yielded; Malformed when it is larger than `limit` bytes."""
        if self._size > limit:
            raise Malformed(f"{self._what} has a metadata file of {self._size:,} bytes; at most {limit:,} are read.")
        data = self._stream.read(self._left)
        if len(data) < self._left:
            raise Malformed(f"{self._what} ends in the middle of a file: the archive is truncated.")
        self._left = 0
        return data[: self._size]

    def _next(self) -> Member | None:
        """Return the next member with its extension headers applied, or None at the end-of-archive mark."""
        long_name = long_target = None
        pax: dict[bytes, bytes] = {}
        while True:
            header = self._stream.read(_BLOCK)
            if header == _ZEROS:
                if long_name or long_target or pax:
                    raise Malformed(f"{self._what} has a name without a file at its end.")
                return None
            size = self._check_header(header)
            kind = header[156:157]
            if kind in (b"x", b"g"):
                if pax:
                    raise Malformed(f"{self._what} has two extended headers for one file.")
                found = self._pax(self._extension(size))
                if kind == b"x":
                    pax = found
                elif found.keys() & {b"path", b"linkpath", b"size"}:
                    raise Malformed(f"{self._what} gives one name or size to all its files in a global header.")
            elif kind == b"L" and long_name is None:
                long_name = self._extension(size).rstrip(b"\0")
            elif kind == b"K" and long_target is None:
                long_target = self._extension(size).rstrip(b"\0")
            else:
                return self._member(header, size, (long_name, long_target), pax)

    def _extension(self, size: int) -> bytes:
        if size > self._seen.limits.tar_extension:
            raise Malformed(f"{self._what} has an extended header of {size:,} bytes.")
        padded = -size % _BLOCK + size
        data = self._stream.read(padded)
        if len(data) < padded:
            raise Malformed(f"{self._what} ends in the middle of a header: the archive is truncated.")
        return data[:size]

    def _check_header(self, header: bytes) -> int:
        """Check length and checksum of a header block and return the announced size of the content."""
        if len(header) < _BLOCK:
            raise Malformed(f"{self._what} ends without its end-of-archive mark: it is truncated.")
        # adler32's low half is 1 + the sum of the bytes modulo 65521: twenty times faster than sum()
        found = zlib.adler32(b"        " + header[156:], zlib.adler32(header[:148])) & 0xFFFF
        if found != (1 + self._number(header[148:156])) % 65521:
            raise Malformed(f"{self._what} is damaged: a tar header does not fit its checksum.")
        return self._number(header[124:136])

    def _number(self, field: bytes) -> int:
        if field[0] & 0x80:  # GNU base-256
            if field[0] != 0x80:
                raise Malformed(f"{self._what} has a negative or absurd number in a tar header.")
            return int.from_bytes(field[1:], "big")
        digits = field.partition(b"\0")[0].strip(b" ")
        if digits and not digits.isdigit():
            raise Malformed(f"{self._what} has an ill-formed number in a tar header.")
        try:
            return int(digits or b"0", 8)
        except ValueError as error:
            raise Malformed(f"{self._what} has an ill-formed number in a tar header.") from error

    def _pax(self, data: bytes) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        while data:
            length, blank, _ = data[:20].partition(b" ")
            end = int(length) if blank and length.isdigit() else 0
            key, equals, value = data[len(length) + 1 : end - 1].partition(b"=")
            if not equals or end > len(data) or data[end - 1 : end] != b"\n" or key in found:
                raise Malformed(f"{self._what} has an ill-formed extended header.")
            if key.startswith(b"GNU.sparse") or (key == b"hdrcharset" and value != b"ISO-IR 10646 2000 UTF-8"):
                raise Malformed(f"{self._what} has a sparse file, or names that are not UTF-8.")
            found[key] = value
            data = data[end:]
        return found

    def _member(
        self, header: bytes, size: int, long: tuple[bytes | None, bytes | None], pax: dict[bytes, bytes]
    ) -> Member:
        kind = header[156:157]
        raw = header[:100].partition(b"\0")[0]
        if header[345]:
            if header[257:263] != b"ustar\0":
                raise Malformed(f"{self._what} has an incremental GNU header, which readers name differently.")
            raw = header[345:500].partition(b"\0")[0] + b"/" + raw
        target = header[157:257].partition(b"\0")[0]
        if pax:
            if b"size" in pax:
                if not pax[b"size"].isdigit() or len(pax[b"size"]) > 18:
                    raise Malformed(f"{self._what} has an ill-formed extended header.")
                size = int(pax[b"size"])
            if (long[0] is not None and b"path" in pax) or (long[1] is not None and b"linkpath" in pax):
                raise Malformed(f"{self._what} gives one file two long names.")
        raw = pax.get(b"path", raw if long[0] is None else long[0])
        target = pax.get(b"linkpath", target if long[1] is None else long[1])
        if kind not in _KINDS:
            what = _REFUSED.get(kind, f"of the unknown type {kind!r}")
            raise Malformed(f"The member {shown(raw)} is {what}; packages hold files, links and folders only.")
        return self._checked(raw, _KINDS[kind], size, target)

    def _checked(self, raw: bytes, kind: str, size: int, target: bytes) -> Member:
        name = member_name(raw, self._seen.limits)
        if kind == "file" and raw.endswith(b"/"):
            kind = "folder"
        if kind != "folder" and not name:
            raise Malformed(f"{self._what} has a member without a name.")
        if kind != "file" and size:
            raise Malformed(f"The member {shown(name)} is a {kind} with content.")
        if kind != "link" and kind != "hardlink":
            target = b""
        return Member(name, kind, size, target)
