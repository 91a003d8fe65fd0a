"""What a file of data holds, as streams: the members of a zip, or the one content of a .zst, .gz or plain file.

Which it is, its first bytes say, not its name. Memory is one chunk and a zip's directory; contents are never extracted.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from packhouse.formats.archives.inflate import Decoder, Inflated, deflate_decoder, gzip_decoder, zstd_decoder
from packhouse.formats.archives.limits import KIB, Limits
from packhouse.formats.archives.names import shown
from packhouse.formats.archives.source import Slice, Source, open_source
from packhouse.formats.archives.zipdir import Entry, read_directory
from packhouse.formats.base import Malformed

_CHUNK = 256 * KIB
#: streams in a row in one file: parallel compressors write one for each block, of 64 KiB (bgzip) or a few MiB
_MOST_STREAMS = 50_000
_DECODERS: tuple[tuple[bytes, Callable[[Limits], Decoder]], ...] = (
    (b"\x28\xb5\x2f\xfd", zstd_decoder),
    (b"\x1f\x8b", gzip_decoder),
)


class Part(NamedTuple):
    """One content: the member's name in a zip, else "", and its bytes in pieces, to be taken once."""

    name: str
    chunks: Iterator[bytes]


@contextmanager
def open_parts(path: Path, limits: Limits) -> Iterator[Iterator[Part]]:
    """Open the file `path` and give its contents in the order of the file; a zip's folders are left out.

    Malformed, also while a part is read, for a file that cannot be opened, is empty, no regular file, truncated or
    damaged, for a zip two readers could read differently, and for whatever expands beyond `limits`: `expanded`
    bytes, or `ratio` times the compressed size where that is more than `ratio_floor`, all parts together.
    """
    try:
        # before it is opened: to open a pipe is to wait for somebody to write
        if not stat.S_ISREG(path.stat().st_mode):
            raise Malformed("It is no regular file.")
        with open_source(path, limits) as source:
            yield _parts(source, limits)
    except OSError as error:
        raise Malformed(f"The file cannot be read: {os.strerror(error.errno or 0)}.") from error


def _parts(source: Source, limits: Limits) -> Iterator[Part]:
    head = source.at(0, 4)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        entries = read_directory(source, limits)
        _check_sum(entries, source.size, limits)
        for entry in entries:
            if entry.size:
                yield Part(entry.name, _member(source, entry, limits))
        return
    whole = Slice(source, 0, source.size)
    for magic, decoder in _DECODERS:
        if head.startswith(magic):
            yield Part("", _pieces(Inflated(whole, _counted(decoder), "The file", limits, several=True)))
            return
    yield Part("", _plain(whole))


def _check_sum(entries: list[Entry], packed: int, limits: Limits) -> None:
    """Malformed when the members together are a bomb: each may be small enough to pass for itself."""
    expanded = sum(entry.size for entry in entries)
    if expanded > limits.expanded:
        raise Malformed(f"The zip expands to more than {limits.expanded:,} bytes.")
    if expanded > limits.ratio_floor and expanded > limits.ratio * packed:
        raise Malformed(f"The zip expands to more than {limits.ratio} times its size: a decompression bomb.")


def _counted(decoder: Callable[[Limits], Decoder]) -> Callable[[Limits], Decoder]:
    """Return `decoder` with a count: millions of empty streams in a row would take hours and expand to nothing."""
    left = _MOST_STREAMS

    def new(limits: Limits) -> Decoder:
        nonlocal left
        left -= 1
        if left < 0:
            raise Malformed(f"The file has more than {_MOST_STREAMS:,} compressed streams in a row.")
        return decoder(limits)

    return new


def _pieces(stream: Inflated) -> Iterator[bytes]:
    while data := stream.rest():
        yield data


def _plain(source: Slice) -> Iterator[bytes]:
    while data := source.read(_CHUNK):
        yield data


def _member(source: Source, entry: Entry, limits: Limits) -> Iterator[bytes]:
    """Give the bytes of a member, its size and CRC-32 checked at its end at the latest."""
    part = Slice(source, entry.offset, entry.packed)
    what = f"The member {shown(entry.name)}"
    chunks = _pieces(Inflated(part, deflate_decoder, what, limits)) if entry.method else _plain(part)
    size = crc = 0
    for data in chunks:
        size += len(data)
        crc = zlib.crc32(data, crc)
        if size > entry.size:
            raise Malformed(f"{what} is larger than the directory says.")
        yield data
    if size != entry.size or crc != entry.crc:
        raise Malformed(f"The content of the member {shown(entry.name)} does not fit its checksum.")


def lines(chunks: Iterator[bytes], most: int) -> Iterator[tuple[int, bytes | None]]:
    r"""Give each line with its number from 1, without its `\n` or `\r\n`; None for one of more than `most` bytes.

    Of a line that is too long no more than `most` bytes and a chunk are ever kept.
    """
    number, kept, lost = 1, b"", False
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        if not lost:
            kept += first
            lost = len(kept) > most
        for following in others:
            yield number, _line(kept, most, lost=lost)
            number, kept, lost = number + 1, following, False
        if lost:
            kept = b""
    if kept or lost:
        yield number, _line(kept, most, lost=lost)


def _line(data: bytes, most: int, *, lost: bool) -> bytes | None:
    return None if lost or len(data) > most else data.removesuffix(b"\r")
