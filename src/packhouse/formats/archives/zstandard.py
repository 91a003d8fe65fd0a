"""One-shot zstd for indexes we write and indexes we fetch: one level, one frame, bounded reading."""

from __future__ import annotations

import sys
import threading

from packhouse.formats.archives.limits import DEFAULT
from packhouse.formats.base import Malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: DEFAULT.zstd_window_log}


class _Compressors(threading.local):
    """One per thread, used again: to make one costs three times what the compression of a typical shard does."""

    def __init__(self) -> None:
        self.one = zstd.ZstdCompressor(level=3)


_compressors = _Compressors()


def zstd3(data: bytes) -> bytes:
    """Compress to one frame at level 3, the only level we publish with (same bytes in, same bytes out)."""
    compressor = _compressors.one
    compressor.set_pledged_input_size(len(data))
    return compressor.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def stream() -> zstd.ZstdCompressor:
    """Return a compressor at that level for one frame whose size is not known beforehand."""
    return zstd.ZstdCompressor(level=3)


def unzstd(data: bytes, limit: int) -> bytes:
    """Decompress frames written by anybody, to at most `limit` bytes.

    Malformed when the data is no zstd, truncated, followed by something else, or expands beyond `limit`.
    """
    pieces: list[bytes] = []
    size = 0
    while data or not pieces:
        decoder = zstd.ZstdDecompressor(options=_OPTIONS)
        try:
            piece = decoder.decompress(data, limit - size + 1)
        except zstd.ZstdError as error:
            raise Malformed(f"The data cannot be decompressed with zstd: {error}.") from error
        size += len(piece)
        if size > limit:
            raise Malformed(f"The data expands to more than {limit:,} bytes.")
        if not decoder.eof:
            raise Malformed("The zstd data ends too early: it is truncated.")
        pieces.append(piece)
        data = decoder.unused_data
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
