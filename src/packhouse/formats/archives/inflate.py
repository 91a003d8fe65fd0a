"""Bounded decompression: zstd, bzip2, deflate and gzip as one stream that checks its own expansion.

Memory is one chunk of output plus what the decoder itself keeps (a zstd window of at most 128 MiB).
"""

from __future__ import annotations

import bz2
import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from packhouse.formats.archives.limits import KIB, Limits
from packhouse.formats.archives.source import Slice
from packhouse.formats.base import Malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_CHUNK = 256 * KIB


class Decoder(Protocol):
    """What `bz2`, `compression.zstd` and `Deflate` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Deflate:
    """`zlib.decompressobj` for raw deflate or, by its `wbits`, gzip, with the interface of the other decoders."""

    def __init__(self, wbits: int = -zlib.MAX_WBITS) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most `max_length` bytes; the rest of the input is kept for the next call."""
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def zstd_decoder(limits: Limits) -> Decoder:
    """Return a decoder for one zstd frame whose window keeps the limit."""
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: limits.zstd_window_log})


def bz2_decoder(_limits: Limits) -> Decoder:
    """Return a decoder for one bzip2 stream."""
    return bz2.BZ2Decompressor()


def deflate_decoder(_limits: Limits) -> Decoder:
    """Return a decoder for a zip member of method 8."""
    return Deflate()


def gzip_decoder(_limits: Limits) -> Decoder:
    """Return a decoder for one gzip member (RFC 1952), its checksum and size checked."""
    return Deflate(16 + zlib.MAX_WBITS)


class Inflated:
    """The decompressed bytes of a slice, front to back.

    `what` names the stream in messages ("the pkg part"). `several` allows more than one compressed stream in a row
    (bzip2 as parallel compressors write it); otherwise whatever follows the first is refused, since
    readers disagree about it.
    """

    __slots__ = ("_buffer", "_decoder", "_expanded", "_limits", "_new", "_position", "_several", "_source", "_what")

    def __init__(
        self, source: Slice, new: Callable[[Limits], Decoder], what: str, limits: Limits, *, several: bool = False
    ) -> None:
        self._source = source
        self._new = new
        self._what = what
        self._limits = limits
        self._several = several
        self._decoder = new(limits)
        self._expanded = 0
        self._buffer = b""
        self._position = 0

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes, or fewer at the end of the stream."""
        end = self._position + count
        if end <= len(self._buffer):
            data = self._buffer[self._position : end]
            self._position = end
            return data
        pieces = [self._buffer[self._position :]]
        missing = count - len(pieces[0])
        while missing and self._fill():
            piece = self._buffer[:missing]
            self._position = len(piece)
            missing -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; Malformed when the stream ends before."""
        left = count - (len(self._buffer) - self._position)
        if left <= 0:
            self._position += count
            return
        while True:
            if not self._fill():
                raise Malformed(f"{self._what} ends in the middle of a file: the archive is truncated.")
            if left <= len(self._buffer):
                self._position = left
                return
            left -= len(self._buffer)

    def rest(self) -> bytes:
        """Return the bytes up to the end of the next chunk; empty at the end of the stream."""
        if self._position < len(self._buffer) or self._fill():
            data = self._buffer[self._position :]
            self._position = len(self._buffer)
            return data
        return b""

    def _fill(self) -> bool:
        """Put the next non-empty chunk into the buffer; False at the proper end of the stream."""
        self._buffer, self._position = b"", 0
        pending = b""
        while True:
            if self._decoder.eof:
                pending = self._decoder.unused_data or self._source.read(_CHUNK)
                if not pending:
                    return False
                if not self._several:
                    raise Malformed(f"{self._what} has more data after the end of its compressed stream.")
                self._decoder = self._new(self._limits)
            if self._decoder.needs_input and not pending:
                pending = self._source.read(_CHUNK)
                if not pending:
                    raise Malformed(f"{self._what} ends too early: its compressed stream is truncated.")
            chunk, pending = self._decode(pending), b""
            if chunk:
                self._grow(len(chunk))
                self._buffer = chunk
                return True

    def _decode(self, data: bytes) -> bytes:
        try:
            return self._decoder.decompress(data, _CHUNK)
        except (zstd.ZstdError, zlib.error, OSError, EOFError, ValueError) as error:
            if "memory" in str(error):
                window = 1 << self._limits.zstd_window_log - 20
                raise Malformed(f"{self._what} needs a zstd window larger than {window} MiB to be read.") from error
            raise Malformed(f"{self._what} cannot be decompressed: {error}.") from error

    def _grow(self, count: int) -> None:
        self._expanded += count
        limits = self._limits
        if self._expanded > limits.ratio_floor and self._expanded > limits.ratio * self._source.size:
            raise Malformed(
                f"{self._what} expands to more than {limits.ratio} times its compressed size: a decompression bomb."
            )
        if self._expanded > limits.expanded:
            raise Malformed(f"{self._what} expands to more than {limits.expanded:,} bytes.")
