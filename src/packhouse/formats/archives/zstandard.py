"""One-shot zstd for indexes we write and indexes we fetch: one level, one frame, bounded reading."""

from __future__ import annotations

import io
import sys
import threading

from packhouse.formats.archives.limits import DEFAULT, MIB
from packhouse.formats.base import Malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: DEFAULT.zstd_window_log}

#: put in and decompressed at a time
_PIECE_BYTES = 4 * MIB
#: in one file: parallel compressors write one for each few MiB
_MOST_FRAMES = 1000


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
    """Decompress frames written by anybody, to at most `limit` bytes, and to `DEFAULT.ratio` times what they are.

    Malformed when the data is no zstd, truncated, followed by something else, or expands beyond that. The memory it
    takes is that of the result.
    """
    most = min(limit, max(DEFAULT.ratio_floor, DEFAULT.ratio * len(data)))
    if most < limit:
        return _opened(data, most, f"more than {DEFAULT.ratio} times its compressed size: a decompression bomb")
    return unzstd_own(data, limit)


def unzstd_own(data: bytes, limit: int) -> bytes:
    """Decompress frames written by ourselves to at most `limit` bytes, however small they are: records are alike.

    Malformed as `unzstd`, but for the ratio.
    """
    return _opened(data, limit, f"more than {limit:,} bytes")


def _opened(data: bytes, most: int, excess: str) -> bytes:
    found, view, frames, at = io.BytesIO(), memoryview(data), 0, 0
    while at < len(view) or not frames:
        if (frames := frames + 1) > _MOST_FRAMES:
            raise Malformed(f"The data has more than {_MOST_FRAMES:,} zstd frames.")
        decoder = zstd.ZstdDecompressor(options=_OPTIONS)
        while not decoder.eof:
            # only a part: what follows the end of a frame in it is copied
            given = view[at : at + _PIECE_BYTES] if decoder.needs_input else b""
            piece = _piece(decoder, given)
            at += len(given) - len(decoder.unused_data)
            if found.tell() + len(piece) > most:
                raise Malformed(f"The data expands to {excess}.")
            if decoder.eof and at == len(view) and not found.tell():
                return piece  # nearly always
            found.write(piece)
    return found.getvalue()


def _piece(decoder: zstd.ZstdDecompressor, given: bytes | memoryview) -> bytes:
    if decoder.needs_input and not given:
        raise Malformed("The zstd data ends too early: it is truncated.")
    try:
        return decoder.decompress(given, _PIECE_BYTES)
    except zstd.ZstdError as error:
        raise Malformed(f"The data cannot be decompressed with zstd: {error}.") from error
