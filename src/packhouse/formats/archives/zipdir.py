"""The directory of a zip file, read strictly: every byte of the file belongs to exactly one thing we know.

Zip readers disagree about prefixed data, second directories, zip64 sizes and names that differ between the local
header and the directory. Such files are refused here, not interpreted. Source: PKWARE APPNOTE 6.3.10, section 4.
"""

from __future__ import annotations

import stat
import struct
import zlib
from typing import NamedTuple

from packhouse.formats.archives.inflate import Inflated, deflate_decoder
from packhouse.formats.archives.limits import Limits
from packhouse.formats.archives.names import member_name, shown
from packhouse.formats.archives.source import Slice, Source
from packhouse.formats.base import Malformed

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DESCRIPTOR = 0x8
_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_MAX32 = 0xFFFFFFFF


class Entry(NamedTuple):
    """One member: name, method (0 stored, 8 deflated), CRC-32, sizes in bytes, where its data starts, what it is."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    folder: bool = False


class _Central(NamedTuple):
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header_at: int


def read_directory(source: Source, limits: Limits, *, stored: bool = False) -> list[Entry]:
    """Return the members in the order of the file. With `stored`, a compressed member is refused.

    Malformed for anything two readers could read differently.
    """
    count, size, start, end = _find_directory(source)
    if count > limits.members:
        raise Malformed(f"The zip has {count:,} members; at most {limits.members:,} are read.")
    if count * _CENTRAL.size > size or size > end - start:
        raise Malformed("The zip's directory does not fit its announced size.")
    centrals = _read_centrals(source.at(start, size), count)
    entries = []
    expected = 0
    for central in sorted(centrals, key=lambda c: c.header_at):
        if central.header_at != expected:
            where = "before its first member" if not expected else "between or under its members"
            raise Malformed(f"The zip has data {where} that its directory does not list.")
        entry, expected = _read_local(source, central, limits)
        if stored and entry.method:
            raise Malformed(f"The member {shown(entry.name)} is compressed; the outer zip must only store.")
        entries.append(entry)
    if expected != start:
        raise Malformed("The zip has data between its members and its directory.")
    names = {entry.name for entry in entries}
    if len(names) != len(entries):
        raise Malformed("The zip has two members of one name.")
    return entries


def _find_directory(source: Source) -> tuple[int, int, int, int]:
    """Return (members, bytes, start, end) of the directory."""
    at = source.size - _END.size
    tail = source.at(at, _END.size) if at >= 0 else b""
    if not tail.startswith(b"PK\5\6"):
        raise Malformed("The file is no zip, is truncated, or has a comment or other data after its directory.")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack(tail)
    if comment or disk or first_disk or here != count:
        raise Malformed("The zip has a comment, or is one part of several.")
    end = at
    if source.at(max(at - _LOCATOR64.size, 0), 4) == b"PK\6\7":
        count, size, start, end = _find_directory64(source, at - _LOCATOR64.size, (count, size, start))
    if start + size != end:
        raise Malformed("The zip's directory is not where the end of the file says: data was added or removed.")
    return count, size, start, end


def _find_directory64(source: Source, locator_at: int, old: tuple[int, int, int]) -> tuple[int, int, int, int]:
    _, disk, end64_at, disks = _LOCATOR64.unpack(source.at(locator_at, _LOCATOR64.size))
    record = source.at(end64_at, _END64.size)
    if disk or disks > 1 or end64_at + _END64.size != locator_at or not record.startswith(b"PK\6\6"):
        raise Malformed("The zip's zip64 end record is not where it must be.")
    _, length, _, _, disk, first_disk, here, count, size, start = _END64.unpack(record)
    if length != _END64.size - 12 or disk or first_disk or here != count:
        raise Malformed("The zip's zip64 end record is ill-formed.")
    for short, long, most in zip(old, (count, size, start), (0xFFFF, _MAX32, _MAX32), strict=True):
        if short not in (long, most):
            raise Malformed("The zip's zip64 record contradicts its plain end record.")
    return count, size, start, end64_at


def _read_centrals(data: bytes, count: int) -> list[_Central]:
    centrals = []
    at = 0
    for _ in range(count):
        if data[at : at + 4] != b"PK\1\2" or len(data) < at + _CENTRAL.size:
            raise Malformed("The zip's directory is truncated or damaged.")
        fields = _CENTRAL.unpack_from(data, at)
        _, _, _, flags, method, _, _, crc, packed, size, name_n, extra_n, comment_n, disk, _, mode, offset = fields
        name_at = at + _CENTRAL.size
        raw_name = data[name_at : name_at + name_n]
        extra = data[name_at + name_n : name_at + name_n + extra_n]
        at = name_at + name_n + extra_n + comment_n
        if at > len(data):
            raise Malformed("The zip's directory is truncated or damaged.")
        if disk or comment_n:
            raise Malformed(f"The member {shown(raw_name)} has a comment or lies in another file.")
        if stat.S_IFMT(mode >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Malformed(f"The member {shown(raw_name)} is a link or a device, not a file.")
        size, packed, offset = _zip64(extra, [size, packed, offset], raw_name)
        centrals.append(_Central(raw_name, flags, method, crc, packed, size, offset))
    if at != len(data):
        raise Malformed("The zip's directory holds more than its announced members.")
    return centrals


def _zip64(extra: bytes, sizes: list[int], raw_name: bytes) -> list[int]:
    """Replace the sizes that are announced as 'see zip64'. Malformed when the extra field is missing or lies."""
    if not extra and _MAX32 not in sizes:
        return sizes
    fields = _extras(extra, raw_name)
    if _UNICODE_PATH in fields:
        raise Malformed(f"The member {shown(raw_name)} carries a second name in an extra field.")
    wide = fields.get(1, b"")
    missing = [i for i, value in enumerate(sizes) if value == _MAX32]
    if len(wide) % 8 or len(wide) < 8 * len(missing):
        raise Malformed(f"The member {shown(raw_name)} has an ill-formed zip64 field.")
    values = [value[0] for value in struct.iter_unpack("<Q", wide)]
    if len(values) == len(missing):
        for index, value in zip(missing, values, strict=True):
            sizes[index] = value
    elif not missing and values != sizes[: len(values)]:
        raise Malformed(f"The zip64 sizes of the member {shown(raw_name)} contradict its plain ones.")
    elif missing:
        raise Malformed(f"The member {shown(raw_name)} has an ill-formed zip64 field.")
    return sizes


def _extras(extra: bytes, raw_name: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(extra):
        if at + 4 > len(extra):
            raise Malformed(f"The extra field of the member {shown(raw_name)} is damaged.")
        kind, length = struct.unpack_from("<2H", extra, at)
        if at + 4 + length > len(extra) or kind in fields:
            raise Malformed(f"The extra field of the member {shown(raw_name)} is damaged.")
        fields[kind] = extra[at + 4 : at + 4 + length]
        at += 4 + length
    return fields


def _read_local(source: Source, central: _Central, limits: Limits) -> tuple[Entry, int]:
    """Check the local header against the directory. Return the entry and where its bytes end."""
    name = member_name(central.raw_name, limits)
    head = source.at(central.header_at, _LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\3\4"):
        raise Malformed(f"The member {shown(name)} has no header where the directory says.")
    _, _, flags, method, _, _, crc, packed, size, name_n, extra_n = _LOCAL.unpack(head)
    rest = source.at(central.header_at + _LOCAL.size, name_n + extra_n)
    if not central.raw_name.isascii() and not central.flags & _UTF8:
        raise Malformed(f"The member {shown(name)} does not say that its name is UTF-8: readers name it differently.")
    if (flags | central.flags) & _ENCRYPTED:
        raise Malformed(f"The member {shown(name)} is encrypted.")
    if method not in (0, 8):
        raise Malformed(f"The member {shown(name)} uses the compression method {method}; only 0 and 8 are read.")
    size, packed, _ = _zip64(rest[name_n:], [size, packed, 0], central.raw_name)
    told = (rest[:name_n], method, flags) == (central.raw_name, central.method, central.flags)
    late = bool(flags & _DESCRIPTOR) and not (crc or packed or size)
    if not told or not (late or (crc, packed, size) == (central.crc, central.packed, central.size)):
        raise Malformed(f"The local header of the member {shown(name)} contradicts the directory.")
    if not central.method and central.packed != central.size:
        raise Malformed(f"The stored member {shown(name)} has two different sizes.")
    start = central.header_at + _LOCAL.size + name_n + extra_n
    end = start + central.packed
    if end > source.size:
        raise Malformed(f"The member {shown(name)} reaches past the end of the file.")
    if flags & _DESCRIPTOR:
        end += _descriptor_length(source.at(end, 24), central, name)
    folder = central.raw_name.endswith(b"/")
    return Entry(name, central.method, central.crc, central.packed, central.size, start, folder), end


def _descriptor_length(data: bytes, central: _Central, name: str) -> int:
    """Return the length of the data descriptor; with or without signature, with 4- or 8-byte sizes."""
    for mark in (b"PK\7\10", b""):
        for form in ("<I2I", "<I2Q"):
            if central.packed > _MAX32 and form == "<I2I":
                continue
            wanted = mark + struct.pack(form, central.crc, central.packed, central.size)
            if data.startswith(wanted):
                return len(wanted)
    raise Malformed(f"The sizes after the member {shown(name)} contradict the directory.")


def read_member(source: Source, entry: Entry, limit: int, limits: Limits) -> bytes:
    """Return the whole content of a small member, its size and CRC-32 checked; Malformed above `limit` bytes."""
    if entry.size > limit:
        raise Malformed(f"The member {shown(entry.name)} has {entry.size:,} bytes; at most {limit:,} are read.")
    part = Slice(source, entry.offset, entry.packed)
    if not entry.method:
        data = part.read(entry.size)
    else:
        stream = Inflated(part, deflate_decoder, f"The member {shown(entry.name)}", limits)
        data = stream.read(entry.size)
        if stream.rest():
            raise Malformed(f"The member {shown(entry.name)} is larger than the directory says.")
    if len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise Malformed(f"The content of the member {shown(entry.name)} does not fit its checksum.")
    return data


class CheckedSlice(Slice):
    """A stored member read from front to back; `verify` says whether its CRC-32 was right."""

    __slots__ = ("_crc", "_entry")

    def __init__(self, source: Source, entry: Entry) -> None:
        super().__init__(source, entry.offset, entry.size)
        self._entry = entry
        self._crc = 0

    def read(self, count: int) -> bytes:
        """Return the next bytes and note them in the checksum."""
        data = super().read(count)
        self._crc = zlib.crc32(data, self._crc)
        return data

    def verify(self) -> None:
        """Malformed when the bytes read to the end do not fit the directory's checksum."""
        if self._crc != self._entry.crc:
            raise Malformed(f"The content of the member {shown(self._entry.name)} does not fit its checksum.")
