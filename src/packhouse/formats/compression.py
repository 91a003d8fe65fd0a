"""Zstandard for what we publish: one frame, one level, the same bytes every time."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3
ZstdStream = zstd.ZstdCompressor


def compress(data: bytes) -> bytes:
    """Return one zstd frame of `data` with its content size."""
    return zstd.compress(data, LEVEL)


def decompress(data: bytes) -> bytes:
    """Return the content of a frame that we made ourselves; frames of others go through `archives`."""
    return zstd.decompress(data)


def stream() -> ZstdStream:
    """Return a compressor for one frame whose size is not known beforehand."""
    return zstd.ZstdCompressor(LEVEL)
