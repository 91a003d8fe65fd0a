"""The members of a zip read one after the other in pieces, each with its size and CRC-32 checked by its end."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from packhouse.formats.archives.inflate import Inflated, deflate_decoder
from packhouse.formats.archives.limits import KIB, Limits
from packhouse.formats.archives.names import shown
from packhouse.formats.archives.source import Slice, Source
from packhouse.formats.archives.zipdir import Entry
from packhouse.formats.base import Malformed

_CHUNK = 256 * KIB


def content(source: Source, entry: Entry, limits: Limits) -> Iterator[bytes]:
    """Yield the content of a member in pieces of at most 256 KiB.

    Malformed, at the latest after the last piece, when it is not what the directory says.
    """
    crc = size = 0
    for piece in _pieces(source, entry, limits):
        size += len(piece)
        if size > entry.size:
            raise Malformed(f"The member {shown(entry.name)} is larger than the directory says.")
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != entry.size or crc != entry.crc:
        raise Malformed(f"The content of the member {shown(entry.name)} does not fit its checksum.")


def _pieces(source: Source, entry: Entry, limits: Limits) -> Iterator[bytes]:
    part = Slice(source, entry.offset, entry.packed)
    if not entry.method:
        while piece := part.read(_CHUNK):
            yield piece
        return
    stream = Inflated(part, deflate_decoder, f"The member {shown(entry.name)}", limits)
    while piece := stream.rest():
        yield piece


def check_expansion(source: Source, entries: Iterable[Entry], limits: Limits) -> None:
    """Malformed when all members together expand to more than a package does; their sizes are checked as they are read.

    Each alone may keep the limit and all together be a bomb.
    """
    total = sum(entry.size for entry in entries)
    if total > limits.ratio_floor and total > limits.ratio * source.size:
        raise Malformed(f"The zip expands to more than {limits.ratio} times its size: a decompression bomb.")
    if total > limits.expanded:
        raise Malformed(f"The zip expands to more than {limits.expanded:,} bytes.")
